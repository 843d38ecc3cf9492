"""The dialect of chat completions: of OpenAI, of Azure, and with their quirks of the servers that copy it."""

import json
from dataclasses import dataclass

from tests.servers.plain_http import Asked
from tests.servers.scripted import KEY, Json, Refusal, Reply, Used, sse

MODELS = (("gpt-6-luna", None), ("gpt-4o", "2027-01-14"))


@dataclass
class Chat:
    """OpenAI itself by default; ``quirk`` names one of the servers of providers.md.

    "ollama": calls whole, "" as content. "llama.cpp": thoughts in another field. "litellm": the usage in a
    chunk with a choice. "bare": no index in calls, no role, no usage, no [DONE]. "objects": arguments as an
    object, or null. "continuous": usage in every chunk. "stop": stop is said of calls too. "late": comes
    without a reason, [DONE] is all that ends it.
    """

    quirk: str = ""
    key: str = KEY
    content_type = "text/event-stream"
    paths: tuple[str, ...] = ("/v1/chat/completions", "/openai/v1/chat/completions")

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        said = {asked.headers.get("authorization"), asked.headers.get("api-key")}
        if self.key and not said & {f"Bearer {self.key}", self.key}:
            return refusal(401, "Incorrect API key provided.", "invalid_api_key", "invalid_request_error")
        problem = _problem(body)
        return refusal(400, problem, "invalid_value", "invalid_request_error") if problem else None

    def other(self, asked: Asked) -> Json | None:
        if asked.method == "GET" and asked.target.endswith("/models"):
            rows = [
                {"id": id, "object": "model", "created": 1, "owned_by": "x", "shutdown_date": date}
                for id, date in MODELS
            ]
            return {"object": "list", "data": rows}
        return None

    def begin(self, reply: Reply, body: Json) -> list[Json]:
        self._asked_usage = bool(body.get("stream_options", {}).get("include_usage"))
        opening = self._chunk({"content": ""} | ({} if self.quirk == "bare" else {"role": "assistant"}))
        field = "reasoning_content" if self.quirk == "llama.cpp" else "reasoning"
        thoughts = [self._chunk({"content": "", field: reply.thoughts})] if reply.thoughts else []
        return [opening, *thoughts]

    def piece(self, reply: Reply, number: int) -> Json:
        field = "refusal" if reply.end == "refusal" else "content"
        chunk = self._chunk({field: reply.text[number]})
        if self.quirk == "continuous":
            chunk["usage"] = _usage(Used(reply.used.read, reply.used.cached, said=number))
        return chunk

    def end(self, reply: Reply) -> list[Json | str]:
        events: list[Json | str] = list(self._calls(reply))
        reason = {"refusal": "stop"}.get(reply.end, reply.end)
        if reply.calls and reply.end == "stop" and self.quirk != "stop":
            reason = "tool_calls"
        events += [] if self.quirk == "late" else [self._chunk({}, reason)]
        if self.quirk == "litellm":
            events.append(self._chunk({}) | {"usage": _usage(reply.used)})
        elif self._asked_usage and self.quirk not in {"bare", "continuous"}:
            events.append(self._chunk({}) | {"choices": [], "usage": _usage(reply.used)})
        return events + ([] if self.quirk == "bare" else ["[DONE]"])

    def complain(self, complaint: Json) -> Json:
        return {"error": {"code": None, "param": None} | complaint}

    def encode(self, event: Json | str) -> bytes:
        return sse(event)

    def _calls(self, reply: Reply) -> list[Json]:
        if self.quirk in {"ollama", "objects", "bare"}:
            return [self._chunk({"content": "", "tool_calls": self._whole(reply)})] if reply.calls else []
        events = []
        for index, call in enumerate(reply.calls):
            first, second = call.halves
            opening = {"index": index, "id": call.id, "type": "function"}
            opening["function"] = {"name": call.name, "arguments": ""}
            events.append(self._chunk({"tool_calls": [opening]}))
            for part in (first, second):
                piece = {"index": index, "function": {"arguments": part}}
                events.append(self._chunk({"tool_calls": [piece]}))
        return events

    def _whole(self, reply: Reply) -> list[Json]:
        found = []
        for index, call in enumerate(reply.calls):
            arguments = call.arguments
            if self.quirk == "objects":
                arguments = json.loads(arguments) or None
            entry = {"id": call.id, "type": "function"}
            entry["function"] = {"name": call.name, "arguments": arguments}
            found.append(entry if self.quirk == "bare" else {"index": index, **entry})
        return found

    def _chunk(self, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_800_000_000,
            "model": "gpt-6-luna",
            "choices": [choice],
        }


def refusal(status: int, message: str, code: str | None, kind: str) -> Refusal:
    """Return a refusal as OpenAI words it."""
    return Refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _usage(used: Used) -> Json:
    return {
        "prompt_tokens": used.read,
        "completion_tokens": used.said,
        "total_tokens": used.read + used.said,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _problem(body: Json) -> str:
    """Return why OpenAI would refuse ``body``, "" when it would not."""
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return "An assistant message with 'tool_calls' must be followed by tool messages"
        calls = message.get("tool_calls") or ()
        if message.get("content") is None and not calls:
            return "Invalid value for 'content': expected a string, got null"
        open_calls = {call["id"] for call in calls}
    return "tool messages are missing" if open_calls else ""
