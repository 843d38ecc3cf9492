"""Message middleware for a speech-to-speech session: all text passes it, sound cannot."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.providers import events
from voxd.providers.base import BaseProvider
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.middleware import (
    LONGEST_S,
    MessageMiddleware,
    MiddlewareMessage,
    load_middleware,
    run_middleware,
    stopped_error,
)
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.tasks import TaskScope
from voxd.text import ClauseSplitter, Piece


class FilteredSession(BaseProvider):
    """The session ``inner``, whose typed text, history and transcripts pass through ``chain``.

    What the user says and what the vendor speaks are sound: both go through unchanged. Words of the user are
    reported when the utterance is whole, those of the reply by clauses, as a pipeline's are.
    """

    def __init__(self, inner: BaseProvider, chain: Sequence[MessageMiddleware], clock: Clock) -> None:
        super().__init__(inner.config)
        self.inner = inner
        self.capabilities = inner.capabilities  # type: ignore[misc]
        self._filter = TextFilter(chain, clock)
        self._waiting: asyncio.Queue[ProviderEvent] = asyncio.Queue()
        self._tasks = TaskScope("message middleware")
        self._pump: asyncio.Task[None] | None = None
        self._replies: dict[str | None, FilteredReply] = {}

    @property
    def is_connected(self) -> bool:
        """Whether the session is open."""
        return self.inner.is_connected

    async def connect(self) -> None:
        """Open the session. Raises `ProviderError`."""
        self.inner.resolver = self.resolver
        self.inner.on_event = self._take
        await self.inner.connect()
        self.session_id = self.inner.session_id

    async def disconnect(self) -> None:
        """Close the session; idempotent."""
        await self.inner.disconnect()
        await self._tasks.close()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``."""
        await self.inner.configure_session(config)

    async def send_audio(self, audio_data: bytes) -> None:
        """Send sound, unchanged."""
        await self.inner.send_audio(audio_data)

    async def send_text(self, text: str) -> None:
        """Send ``text`` as the middleware returns it. Raises `ProviderError`, also when it was stopped."""
        changed = await self._filter.run("user", text)
        if changed is None:
            raise stopped_error()
        await self.inner.send_text(changed)

    async def speak_text(self, text: str) -> None:
        """Say ``text`` as the middleware returns it. Raises `ProviderError`, also when it was stopped."""
        changed = await self._filter.run("assistant", text)
        if changed is None:
            raise stopped_error()
        await self.inner.speak_text(changed)

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message as the middleware returns it; one that was stopped is left out."""
        changed = await self._filter.run("assistant" if role == "assistant" else "user", text)
        if changed is not None:
            await self.inner.add_history(role, changed)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cut the reply."""
        await self.inner.interrupt(played_ms)
        # The session takes what the vendor reports of it for a report of this call only while it lasts.
        if self._pump is not None and not self._pump.done():
            await asyncio.wait({self._pump}, timeout=LONGEST_S)

    async def commit(self) -> None:
        """End the user's turn."""
        await self.inner.commit()

    async def clear_audio(self) -> None:
        """Discard audio that was not committed."""
        await self.inner.clear_audio()

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a tool."""
        await self.inner.send_tool_result(call_id, output)

    async def request_response(self) -> None:
        """Request a response."""
        await self.inner.request_response()

    async def request_answer(self) -> None:
        """Request a response that calls no tool."""
        await self.inner.request_answer()

    async def abandon_response(self) -> None:
        """Regard the response as over."""
        await self.inner.abandon_response()

    async def get_usage(self) -> Usage | None:
        """Return what this session used."""
        return await self.inner.get_usage()

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs."""
        return await self.inner.estimate_cost()

    # --- what the vendor reports ------------------------------------------------------------------

    def _take(self, event: ProviderEvent) -> None:
        is_text = isinstance(event, events.TextOutput | events.TextTranscription)
        ends_text = isinstance(event, events.ResponseCompleted | events.ResponseCancelled)
        is_idle = self._pump is None or self._pump.done()
        if is_idle and not is_text and not (ends_text and self._replies):
            self.on_event(event)
            return
        # In order: the end of a reply must not overtake its words.
        self._waiting.put_nowait(event)
        if is_idle:
            self._pump = self._tasks.start(self._run(), name="message middleware")

    async def _run(self) -> None:
        while not self._waiting.empty():
            event = self._waiting.get_nowait()
            try:
                changed = await self._changed(event)
            except VoxdError as error:
                changed = [events.ErrorOccurred.of(error)]
            for each in changed:
                self.on_event(each)

    async def _changed(self, event: ProviderEvent) -> list[ProviderEvent]:
        match event:
            case events.TextTranscription(is_partial=True):
                # A piece of a word tells a filter nothing; the whole utterance follows.
                return []
            case events.TextTranscription():
                return await self._transcribed(event)
            case events.TextOutput():
                reply = self._replies.setdefault(event.response_id, FilteredReply(event.response_id))
                if event.is_partial:
                    return await reply.add(event.text, self._filter)
                del self._replies[event.response_id]
                return await reply.end(event.text, self._filter)
            case events.ResponseCompleted() | events.ResponseCancelled():
                begun = self._replies.pop(event.response_id, None)
                return [*(await begun.end("", self._filter) if begun is not None else ()), event]
        return [event]

    async def _transcribed(self, event: events.TextTranscription) -> list[ProviderEvent]:
        changed = await self._filter.run("user", event.text)
        if changed == event.text:
            return [event]
        if changed is not None:
            # Who said which part is left out: the parts hold what the middleware has taken out.
            return [events.TextTranscription(changed, item_id=event.item_id)]
        # The vendor has heard the question; what remains is not to let it answer.
        await self.inner.interrupt(None)
        return [events.ErrorOccurred.of(stopped_error())]


class TextFilter:
    """The chain of middleware, for one message after the other."""

    def __init__(self, chain: Sequence[MessageMiddleware], clock: Clock) -> None:
        self._chain = chain
        self._clock = clock

    async def run(self, role: Literal["user", "assistant"], text: str) -> str | None:
        """Return ``text`` as the middleware returns it, None when it was stopped. Raises `VoxdError`."""
        result = await run_middleware(self._chain, MiddlewareMessage(role, text), self._clock)
        return result.text if result is not None else None


class FilteredReply:
    """The words of one response, cut into clauses: a word may be split over two pieces of the vendor's."""

    def __init__(self, response_id: str | None) -> None:
        self._response_id = response_id
        self._splitter = ClauseSplitter()
        self._said: list[str] = []
        self._has_pieces = False

    async def add(self, text: str, filter: TextFilter) -> list[ProviderEvent]:
        """Return the pieces that ``text`` completes."""
        self._has_pieces = True
        return await self._pass(_written(self._splitter.feed(text)), filter)

    async def end(self, whole: str, filter: TextFilter) -> list[ProviderEvent]:
        """Return the last piece and the whole text; ``whole`` is that of the vendor."""
        pieces: list[ProviderEvent] = []
        if self._has_pieces:
            pieces = await self._pass(self._rest(), filter)
        else:
            # There were no pieces to report: only the whole text is.
            await self._pass([*_written(self._splitter.feed(whole)), *self._rest()], filter)
        said = "".join(self._said)
        return [*pieces, *([events.TextOutput(said, False, self._response_id)] if whole and said else [])]

    def _rest(self) -> list[str]:
        # The vendor speaks by itself: what our own filter would not speak belongs to the transcript.
        return [*_written(self._splitter.finish()), *filter(None, [self._splitter.unspoken.strip()])]

    async def _pass(self, clauses: Sequence[str], filter: TextFilter) -> list[ProviderEvent]:
        found: list[ProviderEvent] = []
        for clause in clauses:
            changed = await filter.run("assistant", clause)
            if changed and changed.strip():
                text = f" {changed.strip()}" if self._said else changed.strip()
                self._said.append(text)
                found.append(events.TextOutput(text, True, self._response_id))
        return found


def _written(pieces: Sequence[Piece]) -> list[str]:
    return [piece.written.strip() for piece in pieces]


def filter_session(session: BaseProvider, names: Sequence[str], clock: Clock) -> BaseProvider:
    """Return ``session`` with the installed middleware ``names``. Raises `NotFound`, `ConfigError`."""
    return FilteredSession(session, tuple(map(load_middleware, names)), clock)
