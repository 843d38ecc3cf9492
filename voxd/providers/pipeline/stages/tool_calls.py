"""Assembles tool calls that a model streams in fragments, and normalises ids and arguments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any
from uuid import uuid4

import msgspec

from voxd.providers.pipeline.stages.contract import ToolCall

# Anthropic allows these characters, OpenAI at most 40 of them in chat completions.
_PORTABLE_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")

# Vendors' reasons for the end of a reply; any other reason is "stop".
_REASONS: Mapping[str, str] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
}


@dataclass(slots=True)
class ToolCallDraft:
    """A call that is still being streamed."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, arguments: str | Mapping[str, Any] | None) -> None:
        """Add a fragment of the arguments; some servers send all of them at once, as an object."""
        if isinstance(arguments, str):
            self.arguments.append(arguments)
        elif arguments is not None:
            self.arguments = [msgspec.json.encode(arguments).decode()]

    def call(self) -> ToolCall:
        """Return the call, with a new id when the server sent none, as some local servers do."""
        return ToolCall(
            self.id or f"call_{uuid4().hex}", self.name, normalize_arguments("".join(self.arguments))
        )


class ToolCallAssembler:
    """The calls of one reply; every fragment names the call it belongs to by ``place``."""

    def __init__(self) -> None:
        self._at: dict[Any, ToolCallDraft] = {}
        self._all: list[ToolCallDraft] = []

    def at(self, place: Any, *, id: str = "", name: str = "") -> ToolCallDraft:
        """Return the call at ``place``, with ``id`` and ``name`` where they are known.

        Some servers number every call 0, so a different id together with a name starts a new call.
        """
        draft = self._at.get(place)
        if draft is None or (id and name and draft.id and draft.id != id):
            draft = self._at[place] = ToolCallDraft()
            self._all.append(draft)
        draft.id = draft.id or id
        draft.name = draft.name or name
        return draft

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls in order, without those that have no name."""
        return tuple(draft.call() for draft in self._all if draft.name)


def finish(reason: str, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the normalised reason, and the calls to execute."""
    ours = _REASONS.get(reason, "stop")
    # Calls of a truncated or withdrawn reply are dropped: their arguments may be incomplete.
    if ours != "stop":
        return ours, ()
    return ("tool_calls" if calls else "stop"), calls


def portable_id(call_id: str) -> str:
    """Return ``call_id``, or a valid id derived from it when not every vendor would accept it."""
    # After failover the history contains ids that another vendor has made.
    if _PORTABLE_ID.fullmatch(call_id):
        return call_id
    # A hash and not a random id: the call and its result must get the same one.
    return f"call_{blake2s(call_id.encode(errors='replace'), digest_size=16).hexdigest()}"


def normalize_arguments(text: str) -> str:
    """Return ``text`` as a JSON object; invalid text becomes an object that no tool accepts."""
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
    """Return the arguments as an object, for vendors that require one."""
    found: dict[str, Any] = msgspec.json.decode(normalize_arguments(text))
    return found
