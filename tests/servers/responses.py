"""The dialect of OpenAI's Responses API."""

from dataclasses import dataclass

from tests.servers.chat import Chat, refusal
from tests.servers.plain_http import Asked
from tests.servers.scripted import Json, Refusal, Reply, sse

ENCRYPTED = "ZW5jcnlwdGVk"


@dataclass
class Responses(Chat):
    """The vendor, which sends thoughts before a tool call if the reply has them."""

    paths: tuple[str, ...] = ("/v1/responses", "/openai/v1/responses")

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        said = {asked.headers.get("authorization"), asked.headers.get("api-key")}
        if not said & {f"Bearer {self.key}", self.key}:
            return refusal(401, "Incorrect API key provided.", "invalid_api_key", "invalid_request_error")
        items = body["input"] if isinstance(body["input"], list) else []
        calls = {item["call_id"] for item in items if item.get("type") == "function_call"}
        outputs = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
        if calls == outputs:
            return None
        return refusal(400, "No tool output found for function call", None, "invalid_request_error")

    def begin(self, reply: Reply, body: Json) -> list[Json]:
        self._number = 0
        self._place = 0
        self._output: list[Json] = []
        self._response = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_800_000_000,
            "model": body["model"],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "temperature": None,
            "top_p": None,
            "usage": None,
            "status": "in_progress",
            "output": [],
        }
        events = [self._event("response.created", response=self._response)]
        if reply.thoughts:
            item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": ENCRYPTED}
            events += [self._item("added", item | {"encrypted_content": "Z"}), self._item("done", item)]
        if reply.text:
            events.append(self._item("added", self._message("in_progress")))
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            events.append(self._said("response.content_part.added", part=part))
        return events

    def piece(self, reply: Reply, number: int) -> Json:
        if reply.end == "refusal":
            return self._said("response.refusal.delta", delta=reply.text[number])
        return self._said("response.output_text.delta", delta=reply.text[number], logprobs=[])

    def end(self, reply: Reply) -> list[Json | str]:
        events: list[Json | str] = []
        if reply.text:
            events.append(self._item("done", self._message("completed")))
        for call in reply.calls:
            events += self._called(call.id, call.name, call.arguments, call.halves)
        return [*events, self._last(reply)]

    def complain(self, complaint: Json) -> Json:
        told = {"code": complaint.get("code") or complaint.get("type"), "message": complaint["message"]}
        return self._event("error", param=None, **told)

    def encode(self, event: Json | str) -> bytes:
        return sse(event, named=True)

    def _last(self, reply: Reply) -> Json:
        used = reply.used
        numbers = {
            "input_tokens": used.read,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
            "output_tokens": used.said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.read + used.said,
        }
        whole = self._response | {"usage": numbers, "output": self._output, "status": "completed"}
        if reply.end in {"stop", "refusal"}:
            return self._event("response.completed", response=whole)
        why = {"length": "max_output_tokens"}.get(reply.end, reply.end)
        whole |= {"status": "incomplete", "incomplete_details": {"reason": why}}
        return self._event("response.incomplete", response=whole)

    def _called(self, id: str, name: str, arguments: str, halves: tuple[str, str]) -> list[Json]:
        item = {"id": f"fc_{id}", "type": "function_call", "call_id": id, "name": name}
        stem = "response.function_call_arguments"
        about = {"item_id": item["id"], "output_index": self._place}
        return [
            self._item("added", item | {"arguments": "", "status": "in_progress"}),
            *(self._event(f"{stem}.delta", delta=half, **about) for half in halves),
            self._event(f"{stem}.done", arguments=arguments, name=name, **about),
            self._item("done", item | {"arguments": arguments, "status": "completed"}),
        ]

    def _message(self, status: str) -> Json:
        return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": []}

    def _item(self, when: str, item: Json) -> Json:
        event = self._event(f"response.output_item.{when}", output_index=self._place, item=item)
        if when == "done":
            self._place += 1
            self._output.append(item)
        return event

    def _said(self, kind: str, **more: object) -> Json:
        return self._event(kind, item_id="msg_1", output_index=self._place, content_index=0, **more)

    def _event(self, kind: str, **more: object) -> Json:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **more}
