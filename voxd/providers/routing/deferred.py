"""Puts a question that waited to the provider of its agent, and gives way when a person speaks."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from traceback import format_tb

from voxd.audio.flac import decode
from voxd.errors import AudioError, DeadlineExceeded, StreamError, VoxdError
from voxd.frames import Clip
from voxd.providers.contract import ReplyEnd, ReplyItem, ReplyText, Transcript
from voxd.providers.routing.health import FailureCause, failure_cause
from voxd.store.kept import Fault, QueuedUtterance

_log = logging.getLogger(__name__)

Ask = Callable[[str, Clip | str, float], tuple[str, AsyncGenerator[ReplyItem]]]
"""Asks a vendor of an agent a question that is so many seconds old; only text is wanted.

Returns his name and his answer. Raises `VoxdError`.
"""

ASK_S = 120.0
"""The longest an answer may take that nobody waits for."""

_LOST = frozenset(
    {"audio_failed", "nothing_said", "audio_too_short", "input_audio_buffer_commit_empty", "message_stopped"}
)
"""Nothing can be made of the utterance, by anybody."""

_DOUBTFUL = frozenset({"refused", "middleware_failed"})

_ITS_OWN = frozenset({"context_too_long", "internal"})


def blame_for(error: VoxdError) -> Fault | None:
    """Return whose fault it is that an utterance was not answered; None when it never will be."""
    if error.code in _LOST:
        return None
    if error.code in _ITS_OWN:
        return Fault.UTTERANCE
    # A server that breaks off, a refusal: that may be meant for all questions or only for this one.
    doubtful = failure_cause(error) in (FailureCause.SILENCE, FailureCause.SERVER) or error.code in _DOUBTFUL
    return Fault.UNSURE if doubtful else Fault.NOBODY


@dataclass(frozen=True, slots=True)
class Answer:
    """What was understood, and what ``provider`` answered."""

    provider: str
    transcript: str
    reply: str


class GaveWay(Exception):
    """A turn began, or the question was dropped, while it was being asked."""


class Asker:
    """Asks one question at a time."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._asking: asyncio.Task[Answer] | None = None

    def give_way(self) -> None:
        """Give up what is being asked."""
        if self._asking is not None:
            self._asking.cancel()

    async def answer(self, kept: QueuedUtterance) -> Answer:
        """Return the answer. Raises `VoxdError`, or `GaveWay`."""
        self._asking = asking = asyncio.create_task(self._collect(kept), name="ask late")
        try:
            await asyncio.wait({asking})
        finally:
            self._asking = None
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if asking.cancelled():
            raise GaveWay
        error = asking.exception()
        if error is not None and not isinstance(error, VoxdError):
            # Where and what, but not its own message: that may hold the user's words.
            message = f"asking failed: {type(error).__name__}"
            _log.error("%s\n%s", message, "".join(format_tb(error.__traceback__)))
            raise VoxdError(message) from error
        return asking.result()

    async def _collect(self, kept: QueuedUtterance) -> Answer:
        said: Clip | str = kept.text
        if kept.flac is not None:
            said = await asyncio.to_thread(decode, kept.flac)
        transcript, pieces = kept.text, []
        provider, answer = self._ask(kept.agent, said, kept.age_s)
        try:
            async with asyncio.timeout(ASK_S), aclosing(answer) as replies:
                async for item in replies:
                    match item:
                        case Transcript(text, True):
                            transcript = text
                        case ReplyText(text):
                            pieces.append(text)
                        case ReplyEnd():
                            break
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {ASK_S:.0f} s") from error
        if not pieces and not transcript:
            raise AudioError("nobody said anything", code="nothing_said")
        if not pieces:
            raise StreamError("the answer is empty")
        return Answer(provider, transcript, " ".join(pieces))
