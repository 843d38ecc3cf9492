"""Base class of streaming language models: one request, its events, and a bounded wait for the usage."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from functools import partial
from typing import ClassVar

from voxd.errors import ProviderError
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, LanguageModel, Prompt, TextChunk
from voxd.providers.pipeline.stages.llm_errors import Headers
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.pipeline.stages.tokens import request_tokens

TAIL_S = 1.0
"""How long to wait for the usage after a complete reply."""

_log = logging.getLogger(__name__)


class StreamingLanguageModel(LanguageModel):
    """A model that streams its reply as server-sent events, or as JSON in lines or whole."""

    first_byte_s: ClassVar[float | None] = None
    whole_s: ClassVar[float | None] = None
    """Limits of the first byte and of the whole reply, in seconds; None selects those of the transport."""

    @abstractmethod
    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        """Return the request for ``prompt``."""

    @abstractmethod
    def _probe(self, access: Access) -> HttpRequest:
        """Return a request that is free, for `check`."""

    @abstractmethod
    def _reader(self, known: Collection[str]) -> ReplyReader:
        """Return a reader for one reply to a prompt with the tools ``known``."""

    def _refused(self, provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
        return llm_errors.error_from_response(provider, status, headers, body)

    def prepare(self) -> None:
        """Open a connection while the user is still speaking."""
        # Nothing is sent yet: only the address of the request is used.
        self.transport.prepare(partial(self._call, Prompt("", (ChatMessage("user", "."),))))

    async def check(self, budget: Budget) -> None:
        """Request the list of models. Raises `ProviderError`."""
        async with self.transport.request(
            self._probe, budget, kind="check", read_refusal=self._refused
        ) as answer:
            await answer.json()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the reply. Raises `ProviderError`."""
        reader = self._reader([tool.name for tool in prompt.tools])
        request = self.transport.request(
            partial(self._call, prompt),
            prompt.budget,
            kind="chat",
            read_refusal=self._refused,
            tokens=request_tokens(prompt),
            first_byte_s=self.first_byte_s,
            whole_s=self.whole_s,
        )
        async with request as answer, aclosing(self._texts(answer, reader)) as texts:
            async for text in texts:
                yield TextChunk(text)
        yield reader.completion()

    async def _texts(self, answer: HttpResponse, reader: ReplyReader) -> AsyncGenerator[str]:
        """Yield the text as it comes, until the reply is over."""
        events = aiter(answer.events())
        while not reader.over:
            try:
                # After the reason of the end only the usage is missing, which is not worth a long wait. Some
                # servers tell the reason with every piece of text: then each of them has this time.
                async with asyncio.timeout(TAIL_S if reader.complete else None):
                    type, data = await anext(events)
                text = reader.feed(data, type)
            except StopAsyncIteration:
                return
            except (ProviderError, TimeoutError) as error:
                if not reader.complete:
                    raise
                # The reply is complete, and may have been spoken already: an error changes nothing.
                _log.debug("%s: the usage of a complete reply was lost: %s", self.name, error)
                return
            if text:
                yield text


_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkTagFilter:
    """Removes reasoning in ``<think>`` tags from the beginning of a reply; holds back only a possible tag.

    Most servers send reasoning in a field of its own. vLLM without a reasoning parser, and other servers with
    a model they do not know yet, leave it in the text.
    """

    def __init__(self) -> None:
        # A tag may arrive in two chunks, so text that could begin one is held back.
        self._held = ""
        self._in_reasoning = False
        self._is_past = False
        self._had_reasoning = False

    def feed(self, text: str) -> str:
        """Return the part of the held-back text and ``text`` that is not reasoning."""
        if self._is_past:
            return text
        self._held += text
        while self._skip():
            pass
        return self._release() if self._is_past else ""

    def end(self) -> str:
        """Return the text held back at the end of the reply; unfinished reasoning is dropped."""
        self._is_past = True
        if self._in_reasoning:
            self._held = ""
        return self._release()

    def _skip(self) -> bool:
        """Skip a tag; return whether there was one."""
        if self._in_reasoning:
            before, tag, behind = self._held.partition(_CLOSE)
            # As much as is needed to recognise a closing tag that arrives in two chunks.
            self._held = behind if tag else before[-len(_CLOSE) :]
            self._in_reasoning = not tag
            return bool(tag)
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held = begun.removeprefix(_OPEN)
            self._in_reasoning = self._had_reasoning = True
            return True
        self._is_past = not _OPEN.startswith(begun)
        return False

    def _release(self) -> str:
        held, self._held = self._held, ""
        return held.lstrip() if self._had_reasoning else held
