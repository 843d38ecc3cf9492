"""Puts the calls of tools together that a model streams in pieces, and makes their arguments one shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any
from uuid import uuid4

import msgspec

from voxd.providers.pipeline.stages.contract import ToolCall

_FITTING_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""Anthropic allows these characters, OpenAI so many of them in a chat."""

_REASONS: Mapping[str, str] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
}
"""Why an answer ended, as vendors say it; whatever is not in it is an ordinary end."""


@dataclass(slots=True)
class ToolCallDraft:
    """A call that is being written."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, arguments: str | Mapping[str, Any] | None) -> None:
        """Add a piece of the arguments; some servers send all of them at once, as an object."""
        if isinstance(arguments, str):
            self.arguments.append(arguments)
        elif arguments is not None:
            self.arguments = [msgspec.json.encode(arguments).decode()]

    def call(self) -> ToolCall:
        """Return the call; one without an id, as of some local servers, gets one."""
        return ToolCall(
            self.id or f"call_{uuid4().hex}", self.name, normalize_arguments("".join(self.arguments))
        )


class ToolCallAssembler:
    """The calls of one answer, kept apart by the place each piece says it belongs to."""

    def __init__(self) -> None:
        self._at: dict[Any, ToolCallDraft] = {}
        self._all: list[ToolCallDraft] = []

    def at(self, place: Any, *, id: str = "", name: str = "") -> ToolCallDraft:
        """Return the call at ``place``, with ``id`` and ``name`` as far as they are told.

        Some servers number every call 0: another id together with a name begins another call.
        """
        draft = self._at.get(place)
        if draft is None or (id and name and draft.id and draft.id != id):
            draft = self._at[place] = ToolCallDraft()
            self._all.append(draft)
        draft.id = draft.id or id
        draft.name = draft.name or name
        return draft

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls in their order; one without a name is nobody's."""
        return tuple(draft.call() for draft in self._all if draft.name)


def finish(reason: str, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the reason in our words, and the calls that are to be run.

    Of an answer that was cut off, or taken back, no call is run: its arguments may lack their end.
    """
    ours = _REASONS.get(reason, "stop")
    if ours != "stop":
        return ours, ()
    return ("tool_calls" if calls else "stop"), calls


def portable_id(call_id: str) -> str:
    """Return the id of a call, or of its result, as every vendor takes it, for it may be another vendor's.

    An id that does not fit becomes another that does, always the same one.
    """
    if _FITTING_ID.fullmatch(call_id):
        return call_id
    return f"call_{blake2s(call_id.encode(errors='replace'), digest_size=16).hexdigest()}"


def normalize_arguments(text: str) -> str:
    """Return ``text`` as the text of a JSON object; what is none becomes an object that no tool accepts."""
    if not text.strip():
        return "{}"
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if isinstance(found, dict):
        return text
    return "{}" if text.strip() == "null" else msgspec.json.encode({"malformed_json": text}).decode()


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments as an object, for the vendors that want them so."""
    found: dict[str, Any] = msgspec.json.decode(normalize_arguments(text))
    return found
