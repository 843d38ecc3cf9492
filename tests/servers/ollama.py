"""The dialect of Ollama's own chat: one JSON object a line."""

import json
from dataclasses import dataclass

from tests.servers.plain_http import Asked
from tests.servers.scripted import Json, Refusal, Reply

MODEL = "llama3.2"


@dataclass
class OllamaChat:
    """A server that has one model; ``numbered`` says whether it gives calls an id."""

    key: str = ""
    numbered: bool = True
    content_type = "application/x-ndjson"
    paths: tuple[str, ...] = ("/api/chat",)

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return Refusal(401, {"error": "unauthorized"})
        if body["model"] not in {MODEL, f"{MODEL}:latest"}:
            return Refusal(404, {"error": f"model '{body['model']}' not found"})
        for message in body["messages"]:
            for call in message.get("tool_calls", ()):
                if not isinstance(call["function"]["arguments"], dict):
                    return Refusal(400, {"error": "json: cannot unmarshal string into Go struct field"})
        return None

    def other(self, asked: Asked) -> Json | None:
        if asked.method == "GET" and asked.target == "/api/tags":
            return {"models": [{"name": f"{MODEL}:latest", "model": f"{MODEL}:latest", "size": 1}]}
        return None

    def begin(self, reply: Reply, body: Json) -> list[Json]:
        if not body["messages"]:
            return []
        return [self._line({"content": "", "thinking": reply.thoughts})] if reply.thoughts else []

    def piece(self, reply: Reply, number: int) -> Json:
        return self._line({"content": reply.text[number]})

    def end(self, reply: Reply) -> list[Json | str]:
        calls = [
            {
                **({"id": call.id} if self.numbered else {}),
                "function": {"index": index, "name": call.name, "arguments": json.loads(call.arguments)},
            }
            for index, call in enumerate(reply.calls)
        ]
        numbers = {"total_duration": 1, "load_duration": 1, "prompt_eval_duration": 1, "eval_duration": 1}
        numbers |= {"prompt_eval_count": reply.used.read, "eval_count": reply.used.said}
        last = self._line({"content": ""}) | {"done": True, "done_reason": reply.end} | numbers
        return [*([self._line({"content": "", "tool_calls": calls})] if calls else []), last]

    def complain(self, complaint: Json) -> Json:
        return {"error": complaint["message"]}

    def encode(self, event: Json | str) -> bytes:
        return (event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)).encode() + b"\n"

    def _line(self, message: Json) -> Json:
        told = {"role": "assistant", **message}
        return {"model": MODEL, "created_at": "2026-11-20T00:00:00Z", "message": told, "done": False}
