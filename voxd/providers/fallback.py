"""Answers locally when the cloud cannot: the same utterance, so that nobody has to say it twice."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from types import MappingProxyType

from voxd.clock import Clock
from voxd.errors import ConfigError, DeadlineExceeded, NotFound, ProviderError, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.contract import (
    Provider,
    Reached,
    Reply,
    ReplyAudio,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.health import INNOCENT, Outage, after
from voxd.providers.tape import Tape

_log = logging.getLogger(__name__)

NOTICE = "I can't reach my assistant, so I answer myself."

NOTICES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_api_key": "My assistant does not accept my key, so I answer myself.",
        "rate_limited": "My assistant takes no more questions for now, so I answer myself.",
    }
)
"""By error code, else `NOTICE`: said once in an outage, or nobody knows why the answers are so simple."""


OF_THE_CLOUD = (ProviderError, DeadlineExceeded, ConfigError, NotFound)
"""Faults that are not the device's own: the vendor's, and settings under which he cannot be asked."""


class FallbackProvider:
    """Asks ``first``, and ``local`` when that fails before anything of its reply was heard.

    While ``first`` is ill ``local`` answers at once; after a while ``first`` is asked again. A failure in the
    middle of a reply ends the turn with its reason.
    """

    def __init__(self, first: Provider, local: Provider, *, emit: Emit, clock: Clock) -> None:
        self.first = first
        self.outage: Outage | None = None
        self._local = local
        self._emit = emit
        self._clock = clock

    @property
    def name(self) -> str:
        """The name of the provider that is to answer."""
        return self.first.name

    def prepare(self) -> None:
        """Prepare whoever will answer, and who would have to step in."""
        if self.outage is not None:
            self._local.prepare()
        if self._is_due:
            self.first.prepare()

    async def converse(self, request: Request) -> AsyncGenerator[Reply]:
        """Answer ``request``. Raises what ``local`` raises, or ``first`` once it was heard."""
        async with AsyncExitStack() as stack:
            tape: Tape | None = None
            if self._is_due:
                if request.audio is not None:
                    tape = await stack.enter_async_context(Tape(request.audio))
                try:
                    async with aclosing(self._attempt(_from_tape(request, tape))) as replies:
                        async for item in replies:
                            yield item
                    return
                except _Unheard as failure:
                    self._local.prepare()
                    begins = self._fell_ill(failure.error)
                if begins:
                    async with aclosing(self._notice(request)) as replies:
                        async for item in replies:
                            yield item
            async with aclosing(self._local.converse(_from_tape(request, tape))) as replies:
                async for item in replies:
                    yield item

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` with the device's own voice."""
        return self._local.speak(text)

    def recover(self) -> None:
        """Ask ``first`` again from now on: it answers, or somebody has mended what was wrong."""
        if self.outage is not None:
            self.outage = None
            self._emit(E.PROVIDER_RESTORED, provider=self.name)

    async def close(self) -> None:
        """Close ``first``; ``local`` is everybody's."""
        await self.first.close()

    @property
    def _is_due(self) -> bool:
        return self.outage is None or self._clock.monotonic() >= self.outage.until_s

    async def _attempt(self, request: Request) -> AsyncGenerator[Reply]:
        """Yield the reply of ``first``. Raises `_Unheard` when it fails before it was heard."""
        waiting: list[Reply] = []
        heard = False
        try:
            async with aclosing(self.first.converse(request)) as replies:
                async for item in replies:
                    if heard or isinstance(item, Transcript | Reached):
                        yield item
                        continue
                    waiting.append(item)
                    if request.speak and isinstance(item, ReplyText):
                        continue  # words whose sound does not come are never said
                    heard = True
                    self.recover()
                    for kept in waiting:
                        yield kept
        except OF_THE_CLOUD as error:
            if heard:
                raise
            raise _Unheard(error) from error

    def _fell_ill(self, error: VoxdError) -> bool:
        """Note a failure; returns whether an outage begins."""
        if error.code in INNOCENT:
            return False
        before, self.outage = self.outage, after(error, self.outage, self._clock.monotonic())
        if before is not None:
            _log.info("the provider %s still does not answer: %s", self.name, error)
            return False
        self._emit(E.PROVIDER_FAILED, provider=self.name, code=error.code, reason=str(error))
        self._emit(E.PROVIDER_CHANGED, **{"from": self.name, "to": self._local.name, "reason": error.code})
        return True

    async def _notice(self, request: Request) -> AsyncGenerator[Reply]:
        outage = self.outage
        text = NOTICES.get(outage.error.code if outage else "", NOTICE)
        yield ReplyText(text)
        if request.speak:
            async with aclosing(self._local.speak(text)) as clips:
                async for clip in clips:
                    yield ReplyAudio(clip)


class _Unheard(Exception):
    """The cloud failed before anything of its reply was heard."""

    def __init__(self, error: VoxdError) -> None:
        super().__init__(str(error))
        self.error = error


def _from_tape(request: Request, tape: Tape | None) -> Request:
    return replace(request, audio=tape.play()) if tape is not None else request
