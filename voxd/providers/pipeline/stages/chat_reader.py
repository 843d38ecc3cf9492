"""Reads replies of the chat completions protocol, as OpenAI and the servers compatible with it send them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from voxd.providers.json_fields import Json, count, label, mapping, number, rows, words
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import Completion, ToolCall
from voxd.providers.pipeline.stages.llm_stream import ThinkTagFilter
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.usage import Usage

# Fields that a message or a call needs back: DeepSeek's and Moonshot's reasoning_content, OpenRouter's
# reasoning_details, Google's extra_content with a thought_signature, LiteLLM's thinking_blocks and
# provider_specific_fields. By part of the name, for every gateway has another one.
_KEPT = ("reason", "think", "thought", "signature", "encrypted", "extra_content", "provider_specific")


@dataclass(frozen=True, slots=True)
class KeptFields:
    """What goes back unchanged with a message that calls tools: its own fields, and those of each call."""

    message: Json = field(default_factory=dict)
    calls: tuple[Json, ...] = ()


class ChatReader(ReplyReader):
    """Reads the chunks of one reply, or the whole of it."""

    def __init__(self, provider: str, known: Collection[str] = ()) -> None:
        super().__init__(provider, known)
        self._filter = ThinkTagFilter()
        self._kept: Json = {}
        self._usage: Json = {}
        self._choice_index: int | None = None
        self._has_text = self._is_refused = False

    def completion(self) -> Completion:
        """Return the end of the reply. Raises `StreamError` when it was truncated."""
        if self._is_refused and self._reason == "stop":
            self._reason = "refusal"
        return super().completion()

    def _take(self, event: Json, type: str) -> str:
        # OpenAI sends the usage in a last chunk without choices, LiteLLM in one with an empty choice, Groq in
        # a field of its own, and vLLM can send running sums in every chunk: the last one counts.
        usage = mapping(event.get("usage")) or mapping(mapping(event.get("x_groq")).get("usage"))
        self._usage = usage or self._usage
        text = "".join(self._choice(choice) for choice in rows(event.get("choices")) if self._is_ours(choice))
        is_last = (
            event.get("choices") == [] and bool(usage) and (self._has_text or bool(self._drafts.calls()))
        )
        # The whole reply, where a stream was asked for, or the usage behind one without a reason.
        if is_last or event.get("object") == "chat.completion":
            self._end("", "stop")
        return text + (self._filter.end() if self._reason else "")

    def _done(self) -> str:
        return super()._done() + self._filter.end()

    def _is_ours(self, choice: Json) -> bool:
        """Whether ``choice`` belongs to the one reply that is read; a server may send several."""
        index = number(choice.get("index"))
        if self._choice_index is None:
            self._choice_index = index
        return index is None or index == self._choice_index

    def _choice(self, choice: Json) -> str:
        if found := llm_errors.find_error(choice):
            raise llm_errors.error_from_detail(self._provider, found)
        delta = mapping(choice.get("delta"))
        # The field of a whole reply. Perplexity repeats there all that was written, beside every delta.
        if not delta and not self._has_text:
            delta = mapping(choice.get("message")) or {"content": choice.get("text")}
            if "delta" not in choice and "message" in choice:
                self._end(choice.get("finish_reason"), "stop")
        for fragment in rows(delta.get("tool_calls")):
            self._call(fragment, number(fragment.get("index")))
        # The protocol before tool calls, which some servers still speak.
        if legacy := mapping(delta.get("function_call")):
            self._call({"function": legacy}, 0)
        self._kept = _merged(self._kept, _to_keep(delta))
        refusal = words(delta.get("refusal"))
        self._is_refused = self._is_refused or bool(refusal)
        content = words(delta.get("content"))
        self._has_text = self._has_text or bool(content or refusal)
        self._end(choice.get("finish_reason"))
        return self._filter.feed(content) + refusal

    def _call(self, fragment: Json, place: int | None) -> None:
        # Some servers leave out the object around name and arguments, or name the arguments as Llama does.
        function = mapping(fragment.get("function")) or fragment
        arguments = function.get("arguments")
        self._drafts.take(
            place,
            id=label(fragment.get("id")),
            name=label(function.get("name")),
            arguments=function.get("parameters") if arguments is None else arguments,
            extra=_to_keep(fragment),
        )

    def _used(self) -> Usage:
        used = self._usage
        details = mapping(used.get("prompt_tokens_details")) or mapping(used.get("input_tokens_details"))
        return Usage(
            input_text_tokens=count(used.get("prompt_tokens"), used.get("input_tokens")),
            # DeepSeek's name is the second one.
            cached_text_tokens=count(details.get("cached_tokens"), used.get("prompt_cache_hit_tokens")),
            output_text_tokens=count(used.get("completion_tokens"), used.get("output_tokens")),
        )

    def _raw(self, extras: list[Json], calls: Collection[ToolCall]) -> KeptFields | None:
        # Reasoning before an answer in words is of no use later, and some servers refuse it.
        if not calls or not (self._kept or any(extras)):
            return None
        return KeptFields(self._kept, tuple(extras))


def _to_keep(fields: Json) -> Json:
    return {
        name: value
        for name, value in fields.items()
        if value not in (None, "", [], {}) and any(part in name for part in _KEPT)
    }


# These come once, or are repeated: they are no pieces of a text.
_WHOLE = ("signature", "encrypted", "type", "index", "id", "format")


def _merged(before: Any, piece: Any) -> Any:
    """Return two pieces of a streamed field as one."""
    if isinstance(before, str) and isinstance(piece, str):
        return before + piece
    if isinstance(before, list) and isinstance(piece, list):
        return _merged_parts(before, piece)
    if not (isinstance(before, dict) and isinstance(piece, dict)):
        return piece
    found = dict(before)
    for name, value in piece.items():
        is_whole = name not in before or any(part in name for part in _WHOLE)
        if value is not None or name not in before:
            found[name] = value if is_whole else _merged(before[name], value)
    return found


def _merged_parts(before: list[Any], pieces: list[Any]) -> list[Any]:
    """Return the parts of a list, such as reasoning_details; pieces of one part are together one part."""
    found = list(before)
    for number_here, piece in enumerate(pieces):
        at = next((at for at, part in enumerate(before) if _is_same_part(part, piece)), None)
        # Without an index only the last part can go on, and only at the beginning of an event.
        if at is None or ("index" not in mapping(piece) and (number_here or at != len(before) - 1)):
            found.append(piece)
        else:
            found[at] = _merged(found[at], piece)
    return found


def _is_same_part(part: Any, piece: Any) -> bool:
    if not (isinstance(part, dict) and isinstance(piece, dict)):
        return False
    # What is signed is complete.
    return not part.get("signature") and all(
        part.get(name) is None or piece.get(name) is None or part[name] == piece[name]
        for name in ("type", "index", "id")
    )
