"""Assembles tool calls that a model streams in fragments, and normalises ids, names and arguments."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from itertools import pairwise
from typing import Any
from uuid import uuid4

import msgspec

from voxd.providers.arguments import read_arguments, resolve_name
from voxd.providers.pipeline.stages.contract import ToolCall

# The narrowest rule for an id is Mistral's: exactly nine letters and digits.
_PORTABLE_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ID_CHARS = 9


@dataclass(slots=True)
class ToolCallDraft:
    """A call that is still being streamed; ``extra`` are fields that the vendor needs back with it."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The arguments so far."""
        return "".join(self.pieces)

    def add(self, arguments: Any) -> None:
        """Add a fragment of the arguments; some servers send all of them at once, as an object."""
        if isinstance(arguments, str):
            self.pieces += [arguments] if arguments else []
        elif arguments is not None:
            self.pieces.append(msgspec.json.encode(arguments).decode())


class ToolCallAssembler:
    """The calls of one reply to a prompt that offers the tools ``known``.

    A fragment belongs to a call by its place. Many servers number every call 0 or not at all, leave out ids,
    change them, or send a call again: then names and arguments decide.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = known
        self._all: list[ToolCallDraft] = []
        self._at: dict[Any, list[ToolCallDraft]] = {}

    def take(
        self,
        place: Any,
        *,
        id: str = "",
        name: str = "",
        arguments: Any = None,
        extra: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> None:
        """Take a fragment; ``place`` None where the server sends none.

        ``whole``: the arguments repeat all that came before, and count.
        """
        sent = ToolCallDraft(id, name, extra=dict(extra or {}))
        sent.add(arguments)
        here = self._at.setdefault(place, [])
        # A reply that closes with all calls again may number them in another way.
        known = [draft for draft in self._all if place is None or (sent.id and draft.id == sent.id)]
        if any(_repeats(sent, draft) for draft in [*here, *known]):
            return
        draft = self._current(place, sent)
        if draft is None or self._begins(sent, draft):
            draft = ToolCallDraft()
            here.append(draft)
            self._all.append(draft)
        draft.id = draft.id or sent.id
        draft.name = self._joined_name(draft, sent.name)
        draft.pieces = sent.pieces if whole and sent.pieces else draft.pieces + sent.pieces
        draft.extra |= sent.extra

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls in order, without those that have no name; no two have the same id."""
        return tuple(call for call, _ in self.finished())

    def finished(self) -> list[tuple[ToolCall, dict[str, Any]]]:
        """Return the `calls`, each with what the vendor needs back with it."""
        found: list[tuple[ToolCall, dict[str, Any]]] = []
        used: set[str] = set()
        for draft in self._all:
            name = resolve_name(draft.name, self._known)
            for text in _argument_texts(draft.pieces) if name else ():
                # Some local servers send no id, or the same one for every call.
                call_id = draft.id if draft.id and draft.id not in used else new_id()
                used.add(call_id)
                found.append((ToolCall(call_id, name, text), draft.extra))
        return found

    def _current(self, place: Any, sent: ToolCallDraft) -> ToolCallDraft | None:
        """Return the call that ``sent`` would continue."""
        here = self._at[place]
        same = [draft for draft in here or self._all if sent.id and draft.id == sent.id]
        if same:
            return same[-1]
        if here:
            return here[-1]
        # Only the first fragment of a call has a place at some servers.
        return self._all[-1] if self._all and place is None and not sent.name else None

    def _begins(self, sent: ToolCallDraft, draft: ToolCallDraft) -> bool:
        """Whether ``sent`` begins another call than ``draft``."""
        if not sent.name or not draft.name:
            return False
        is_complete = _is_object(draft.text)
        if sent.id and draft.id and sent.id != draft.id:
            # vLLM made up another id for every fragment: one that continues open arguments is not a new call.
            is_open = bool(draft.pieces) and not is_complete
            return not (is_open and sent.name == draft.name and not sent.text.lstrip().startswith("{"))
        if is_complete:
            return sent.name != draft.name or sent.text.lstrip().startswith("{")
        if draft.pieces:
            return sent.name != draft.name
        # Two calls without arguments so far, or one whose name comes in pieces or grows.
        return not self._is_part(draft.name, sent.name)

    def _is_part(self, begun: str, name: str) -> bool:
        if name == begun:
            return True
        if not self._known:
            return name.startswith(begun)
        if begun in self._known and name in self._known:
            return False
        return any(each.startswith(begun + name) for each in self._known) or name.startswith(begun)

    def _joined_name(self, draft: ToolCallDraft, name: str) -> str:
        if not draft.name or not name or name == draft.name:
            return draft.name or name
        if name.startswith(draft.name):
            return name
        # A name that differs behind the arguments says nothing.
        return draft.name if draft.pieces else draft.name + name


def _repeats(sent: ToolCallDraft, draft: ToolCallDraft) -> bool:
    """Whether ``sent`` is a whole call that came before: some servers close with all of them again."""
    if sent.id and draft.id and sent.id != draft.id:
        return False
    if sent.name and sent.name != draft.name:
        return False
    return bool(sent.pieces) and _is_object(sent.text) and _decoded(sent.text) == _decoded(draft.text)


def _argument_texts(pieces: Sequence[str]) -> list[str]:
    """Return the arguments as JSON text; several when a server has put calls of one tool into one."""
    text = "".join(pieces).strip()
    if _is_object(text):
        # Unchanged: what a vendor has signed goes back byte for byte.
        return [text]
    found = read_arguments(text)
    if isinstance(found, dict):
        return [msgspec.json.encode(found).decode()]
    # Each piece repeats all that came before it.
    if len(pieces) > 1 and all(after.startswith(before) for before, after in pairwise(pieces)):
        return _argument_texts(pieces[-1:])
    several = _objects_in(text)
    return several or [text]


def _objects_in(text: str) -> list[str]:
    """Return the different objects that ``text`` consists of, none when it is anything else."""
    decoder, at = json.JSONDecoder(), 0
    found: list[str] = []
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        if text[at:end] not in found:
            found.append(text[at:end])
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _is_object(text: str) -> bool:
    return isinstance(_decoded(text), dict)


def new_id() -> str:
    """Return an id for a call that every vendor accepts."""
    return uuid4().hex[:_ID_CHARS]


def portable_id(call_id: str) -> str:
    """Return ``call_id``, or an id derived from it when not every vendor would accept it."""
    if _PORTABLE_ID.fullmatch(call_id):
        return call_id
    # A hash and not a random id: the call and its result must get the same one.
    return blake2s(call_id.encode(errors="replace"), digest_size=16).hexdigest()[:_ID_CHARS]


def normalize_arguments(text: str) -> str:
    """Return ``text``, or an empty object when it is not a JSON object: vendors refuse such a call."""
    # The result of the call says what was wrong.
    return text if _is_object(text) else "{}"


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments as an object, for vendors that require one."""
    found: dict[str, Any] = msgspec.json.decode(normalize_arguments(text))
    return found


# How vendors name the end of a reply, in lower case; any other one is "stop".
_ENDS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "length",
            "max_tokens",
            "max_output_tokens",
            "max_completion_tokens",
            "max_length",
            "model_length",
            "model_context_window_exceeded",
            "token_limit",
        ),
        "length",
    ),
    # OpenAI, Anthropic, Google (FinishReason), Bedrock, Zhipu; the words in `_FILTERED` are for the rest.
    **dict.fromkeys(
        ("refusal", "refused", "recitation", "blocklist", "spii", "language", "guardrail_intervened"),
        "refusal",
    ),
    # OpenRouter and Mistral, vLLM, DeepSeek.
    **dict.fromkeys(
        ("error", "abort", "aborted", "cancelled", "canceled", "failed", "insufficient_system_resource"),
        "error",
    ),
}
_FILTERED = re.compile(r"filter|safety|prohibited|blocked|moderation|sensitive|policy|flagged")
# No reason, though it is text.
_NONE = frozenset({"", "null", "none", "unspecified", "finish_reason_unspecified"})


def end_reason(reason: Any) -> str:
    """Return ``reason``, as a vendor names it, as "stop", "length", "refusal" or "error"; "" for none."""
    name = reason.strip().lower() if isinstance(reason, str) else ""
    if name in _NONE:
        return ""
    # Google's "function_call_filter: MALFORMED_FUNCTION_CALL" is not about what was asked.
    if "function_call" in name or "tool_call" in name:
        return "stop"
    return _ENDS.get(name) or ("refusal" if _FILTERED.search(name) else "stop")


def finish(reason: str, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the reason of a `Completion` for an `end_reason`, and the calls to execute."""
    # Calls of a truncated or withdrawn reply are dropped: their arguments may be incomplete.
    if reason != "stop":
        return reason, ()
    return ("tool_calls" if calls else "stop"), calls
