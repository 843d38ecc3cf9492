"""A custom endpoint, as the guide for custom providers has it: JSON, or text as it is written."""

import json
from dataclasses import dataclass

from tests.servers.plain_http import Asked
from tests.servers.scripted import KEY, Json, Refusal, Reply


@dataclass
class OwnHttp:
    """It answers in JSON, or in plain text with ``streams``; either way it only receives words."""

    streams: bool = True
    key: str = KEY
    paths: tuple[str, ...] = ("/ask",)

    @property
    def content_type(self) -> str:
        return "text/plain; charset=utf-8" if self.streams else "application/json"

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return Refusal(401, {"message": "who are you?"})
        return None

    def other(self, asked: Asked) -> Json | None:
        return {} if asked.method == "OPTIONS" and asked.target == "/ask" else None

    def begin(self, reply: Reply, body: Json) -> list[Json]:
        return []

    def piece(self, reply: Reply, number: int) -> Json:
        return {"piece": reply.text[number]}

    def end(self, reply: Reply) -> list[Json | str]:
        if self.streams:
            return []
        usage = {"input_tokens": reply.used.read, "output_tokens": reply.used.said}
        return [json.dumps({"content": "".join(reply.text), "usage": usage})]

    def complain(self, complaint: Json) -> Json:
        return {"error": complaint}

    def encode(self, event: Json | str) -> bytes:
        if isinstance(event, str):
            return event.encode()
        if "piece" not in event:
            return json.dumps(event).encode()
        return str(event["piece"]).encode() if self.streams else b""
