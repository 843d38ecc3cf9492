"""What all models that stream share: one request, its pieces, and an end that nobody waits long for."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import ClassVar, Protocol

from voxd.errors import ProviderError
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, LanguageModel, Prompt, TextChunk
from voxd.providers.pipeline.stages.llm_errors import Headers
from voxd.providers.pipeline.stages.messages import estimate_tokens

TAIL_S = 1.0
"""How long an answer that is complete may take to say what it used."""

_log = logging.getLogger(__name__)


class ReplyReader(Protocol):
    """Reads one answer, piece by piece; pure."""

    @property
    def complete(self) -> bool:
        """Whether the vendor has said that, and why, the answer has ended."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing follows any more, not even numbers."""
        ...

    def feed(self, data: str) -> str:
        """Take a piece and return the text in it, "" when there is none. Raises `ProviderError`."""
        ...

    def answered(self) -> Completion:
        """Return how the answer ended. Raises `StreamError` when it did not."""
        ...


class StreamingLanguageModel(LanguageModel):
    """A model whose vendor sends server-sent events; who sends something else overrides `_pieces`."""

    first_byte_s: ClassVar[float | None] = None
    whole_s: ClassVar[float | None] = None
    """How long the first byte and all of the answer may take; None leaves it to the line."""

    @abstractmethod
    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        """Return the request that asks ``prompt``."""

    @abstractmethod
    def _probe(self, access: Access) -> HttpRequest:
        """Return a request that costs nothing."""

    @abstractmethod
    def _reader(self) -> ReplyReader:
        """Return a reader for one answer."""

    def _refused(self, provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
        return llm_errors.error_from_response(provider, status, headers, body)

    async def _pieces(self, answer: HttpResponse) -> AsyncGenerator[str]:
        async for _, data in answer.events():
            yield data

    def prepare(self) -> None:
        """Connect while the user still speaks."""
        self.wire.prepare(partial(self._call, Prompt("", (ChatMessage("user", "."),))))

    async def check(self, budget: Budget) -> None:
        """Ask which models there are."""
        async with self.wire.request(self._probe, budget, kind="check", refused=self._refused) as answer:
            await answer.json()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the answer of the vendor."""
        reader = self._reader()
        request = self.wire.request(
            partial(self._call, prompt),
            prompt.budget,
            kind="chat",
            refused=self._refused,
            tokens=estimate_tokens(prompt),
            first_byte_s=self.first_byte_s,
            whole_s=self.whole_s,
        )
        async with request as answer, aclosing(self._pieces(answer)) as pieces:
            async for data in pieces:
                if text := reader.feed(data):
                    yield TextChunk(text)
                if reader.complete:
                    break
            if text := await self._rest(pieces, reader):
                yield TextChunk(text)
        yield reader.answered()

    async def _rest(self, pieces: AsyncGenerator[str], reader: ReplyReader) -> str:
        """Read what follows a complete answer: what it used, and text of those who say the end too soon.

        The answer is whole and perhaps spoken already, so nothing that goes wrong from here on matters.
        """
        late = ""
        try:
            async with asyncio.timeout(TAIL_S):
                while not reader.over:
                    late += reader.feed(await anext(pieces))
        except StopAsyncIteration:
            pass
        except (ProviderError, TimeoutError) as error:
            _log.debug("%s: the end of a complete answer was lost: %s", self.name, error)
        return late


_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkTagFilter:
    """Lets through what is to be spoken of one answer; holds back no more than may be a tag."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False
        self._is_speaking = False
        self._has_thought = False

    def feed(self, text: str) -> str:
        """Return what of ``text``, and of what was held back, is to be spoken."""
        if self._is_speaking:
            return text
        self._held += text
        while self._skip():
            pass
        return self._held_back() if self._is_speaking else ""

    def end(self) -> str:
        """Return what was held back in vain: the answer is over, or the rest of it is no thought."""
        self._is_speaking = True
        if self._is_thinking:
            self._held = ""
        return self._held_back()

    def _skip(self) -> bool:
        """Go past a tag, and say whether there was one."""
        if self._is_thinking:
            before, tag, behind = self._held.partition(_CLOSE)
            self._held = behind if tag else before[-len(_CLOSE) :]
            self._is_thinking = not tag
            return bool(tag)
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held = begun.removeprefix(_OPEN)
            self._is_thinking = self._has_thought = True
            return True
        self._is_speaking = not _OPEN.startswith(begun)
        return False

    def _held_back(self) -> str:
        held, self._held = self._held, ""
        return held.lstrip() if self._has_thought else held
