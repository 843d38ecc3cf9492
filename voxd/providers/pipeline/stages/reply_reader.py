"""Base of the readers of language model replies: one reply, event by event, whatever shape its JSON has."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import msgspec

from voxd.errors import StreamError
from voxd.json_text import decode_json
from voxd.providers.json_fields import Json, rows
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import Completion
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, end_reason, finish
from voxd.providers.usage import Usage

_DONE = "[DONE]"


class ReplyReader(ABC):
    """Reads one reply to a prompt that offers the tools ``known``; pure.

    Only what makes up the answer must have its form. Anything else may be missing, null or of another type:
    an extra never voids an answer. A whole reply and an error are understood in place of a stream.
    """

    def __init__(self, provider: str, known: Collection[str] = ()) -> None:
        self.over = False
        """Whether nothing follows, not even the usage."""
        self._provider = provider
        self._drafts = ToolCallAssembler(known)
        # "stop", "length", "refusal" or "error" once the vendor has sent it.
        self._reason = ""
        self._complaint = ""

    @property
    def complete(self) -> bool:
        """Whether the vendor has sent the end of the reply, with its reason."""
        return bool(self._reason)

    def feed(self, data: str, type: str = "") -> str:
        """Process an event; return the text in it, "" when there is none. Raises `ProviderError`.

        ``type`` is the name of the server-sent event, "" when it has none.
        """
        before, mark, _ = data.rpartition(_DONE)
        # Behind other data where a server leaves out the empty line between events.
        if mark and (not before.strip('" \n') or before.endswith("\n")):
            return (self.feed(before, type) if before.strip('" \n') else "") + self._done()
        if type == "error":
            raise llm_errors.error_from_event(self._provider, data)
        text = ""
        for each in _objects(self._provider, data):
            # An error after the first event arrives under HTTP status 200, as an event of its own.
            if found := llm_errors.find_error(each):
                raise llm_errors.error_from_detail(self._provider, found)
            self._complaint = self._complaint or llm_errors.complaint(each)
            text += self._take(each, type)
        return text

    def completion(self) -> Completion:
        """Return the end of the reply. Raises `StreamError` when it was truncated."""
        if not self._reason:
            raise llm_errors.truncated_reply(self._provider, self._complaint)
        if self._reason == "error":
            raise StreamError("the vendor could not finish the reply", provider=self._provider)
        finished = self._drafts.finished()
        reason, calls = finish(self._reason, tuple(call for call, _ in finished))
        return Completion(reason, calls, self._used(), self._raw([extra for _, extra in finished], calls))

    def _end(self, reason: Any, default: str = "") -> None:
        """Note the reason of the end, as the vendor names it; ``default`` is ours where it names none."""
        # Some servers close with "stop" whatever came before.
        if self._reason in {"", "stop"}:
            self._reason = end_reason(reason) or self._reason or default

    def _done(self) -> str:
        """Process the mark that ends a stream; return the text that was held back."""
        self._end("", "stop")
        self.over = True
        return ""

    @abstractmethod
    def _take(self, event: Json, type: str) -> str:
        """Process one object and return the text in it."""

    @abstractmethod
    def _used(self) -> Usage:
        """Return what the vendor says the reply used."""

    def _raw(self, extras: list[Json], calls: Collection[Any]) -> Any:
        """Return what the vendor needs back unchanged with this reply; ``extras`` are those of the calls."""
        return None


def _objects(provider: str, data: str) -> list[Json]:
    """Return the JSON objects in ``data``, one event of a reply; there may be none.

    Raises `StreamError` for JSON that is broken.
    """
    try:
        # Google's servers send an array of chunks where no server-sent events are requested.
        return rows(decode_json(data))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    lines = [line for line in data.splitlines() if line.strip()]
    # Events without the empty line between them arrive as one (HTML standard, section 9.2.6).
    if len(lines) > 1:
        return [found for line in lines for found in _objects(provider, line)]
    # Neither "ping" nor a time keeps an answer from being one.
    if data.lstrip().startswith(("{", "[")):
        raise llm_errors.malformed_reply(provider)
    return []
