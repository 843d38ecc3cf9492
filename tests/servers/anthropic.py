"""The dialect of Anthropic's Messages API, in both versions."""

from dataclasses import dataclass

from tests.servers.plain_http import Asked
from tests.servers.scripted import KEY, Json, Refusal, Reply, sse

_STOPS = {"stop": "end_turn", "length": "max_tokens"}
WARM = frozenset({"claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6"})
"""The models that take a temperature, with the old version."""

SIGNATURE = "c2lnbmVkIHRob3VnaHRz"


@dataclass
class Messages:
    """The vendor; ``encrypted`` thoughts are sent as unreadable blocks."""

    key: str = KEY
    encrypted: bool = False
    content_type = "text/event-stream"
    paths: tuple[str, ...] = ("/v1/messages",)

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        version = asked.headers.get("anthropic-version")
        bearer = asked.headers.get("authorization") == f"Bearer {self.key}"
        old = asked.headers.get("x-api-key") == self.key
        if self.key and not (bearer if version == "2026-10-21" else old):
            return refusal(401, "authentication_error", "invalid x-api-key")
        problem = _problem(body, version)
        return refusal(400, "invalid_request_error", problem) if problem else None

    def other(self, asked: Asked) -> Json | None:
        if asked.method == "GET" and asked.target == "/v1/models":
            row = {"id": "claude-haiku-5-5", "type": "model", "display_name": "x", "created_at": "2026-01-01"}
            return {"data": [row], "has_more": False, "first_id": row["id"], "last_id": row["id"]}
        return None

    def begin(self, reply: Reply, body: Json) -> list[Json]:
        used = reply.used
        numbers = {
            "input_tokens": used.read - used.cached - used.written,
            "cache_read_input_tokens": used.cached,
            "cache_creation_input_tokens": used.written,
            "output_tokens": 1,
        }
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
        }
        message |= {"stop_reason": None, "stop_sequence": None, "usage": numbers}
        self._index = 0
        events: list[Json] = [{"type": "message_start", "message": message}, {"type": "ping"}]
        if reply.thoughts:
            events += self._thinks(reply.thoughts)
        if reply.text:
            events.append(self._at("content_block_start", content_block={"type": "text", "text": ""}))
        return events

    def piece(self, reply: Reply, number: int) -> Json:
        return self._delta({"type": "text_delta", "text": reply.text[number]})

    def end(self, reply: Reply) -> list[Json | str]:
        events: list[Json | str] = [self._stop()] if reply.text else []
        for call in reply.calls:
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            events.append(self._at("content_block_start", content_block=block))
            pieces = ("", *call.halves) if call.arguments != "{}" else ("",)
            events += [self._delta({"type": "input_json_delta", "partial_json": part}) for part in pieces]
            events.append(self._stop())
        why = _STOPS.get(reply.end, reply.end)
        delta = {
            "stop_reason": "tool_use" if reply.calls and why == "end_turn" else why,
            "stop_sequence": None,
        }
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": reply.used.said}})
        return [*events, {"type": "message_stop"}]

    def complain(self, complaint: Json) -> Json:
        return {"type": "error", "error": complaint, "request_id": "req_1"}

    def encode(self, event: Json | str) -> bytes:
        return sse(event, named=True)

    def _thinks(self, thoughts: str) -> list[Json]:
        if self.encrypted:
            block = {"type": "redacted_thinking", "data": thoughts}
            return [self._at("content_block_start", content_block=block), self._stop()]
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return [
            self._at("content_block_start", content_block=block),
            self._delta({"type": "thinking_delta", "thinking": thoughts}),
            self._delta({"type": "signature_delta", "signature": SIGNATURE}),
            self._stop(),
        ]

    def _at(self, kind: str, **more: Json) -> Json:
        return {"type": kind, "index": self._index, **more}

    def _delta(self, delta: Json) -> Json:
        return self._at("content_block_delta", delta=delta)

    def _stop(self) -> Json:
        event = self._at("content_block_stop")
        self._index += 1
        return event


def refusal(status: int, kind: str, message: str, reason: str = "", **headers: str) -> Refusal:
    """Return a refusal as Anthropic words it."""
    error: Json = {"type": kind, "message": message}
    if reason:
        error["details"] = {"error_code": reason}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusal(status, {"type": "error", "error": error, "request_id": "req_1"}, told)


def _problem(body: Json, version: str | None) -> str:
    """Return why Anthropic would refuse ``body``, "" when it would not."""
    if "max_tokens" not in body:
        return "max_tokens: Field required"
    hot = {"temperature", "top_p", "top_k"} & set(body)
    if hot and (version == "2026-10-21" or body["model"] not in WARM):
        return f"{hot.pop()}: Extra inputs are not permitted"
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        return "messages: first message must use the user role"
    due: list[str] = []
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if sorted(results) != sorted(due) or [block["type"] for block in blocks[: len(due)]] != (
            ["tool_result"] * len(due)
        ):
            return f"messages: tool_use ids were found without tool_result blocks immediately after: {due}"
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return "messages: text content blocks must be non-empty"
        if any(block["type"] == "thinking" and block["signature"] != SIGNATURE for block in blocks):
            return "messages: Invalid `signature` in `thinking` block"
        due = [block["id"] for block in blocks if block["type"] == "tool_use"]
    return "tool results are missing" if due else ""
