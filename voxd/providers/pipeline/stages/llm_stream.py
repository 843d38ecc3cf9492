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
from voxd.providers.pipeline.stages import llm_errors as complaints
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
        return complaints.error_from_response(provider, status, headers, body)

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
