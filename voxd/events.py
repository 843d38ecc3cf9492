"""What happened: one event shape, one table of types, one bus."""

import asyncio
import fnmatch
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, Self

import msgspec

from voxd.clock import Clock

_log = logging.getLogger(__name__)

EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "daemon.ready": "The daemon serves: version, audio.",
        "daemon.reloaded": "SIGHUP was obeyed: applied, needs_restart.",
        "daemon.stopping": "The daemon goes down.",
        "state.changed": "The turn machine moved: from, to.",
        "wake.candidate": "The first stage heard a word: word, score.",
        "wake.detected": "A wake word was confirmed: word, score, first_score, agent, end_sample.",
        "wake.rejected": "The second stage said no: word, score, first_score, reason.",
        "speech.started": "The user began to speak: sample.",
        "speech.ended": "The user stopped: sample, reason, duration_ms.",
        "turn.started": "A turn began: source, agent.",
        "turn.transcript": "What was understood: text, engine. Never logged.",
        "turn.reply": "What is answered: text. Never logged.",
        "turn.interrupted": "The reply was cut: by, played_ms.",
        "turn.ended": "The turn is over: outcome, latency_ms (end of speech to first sample), stages_ms.",
        "playback.started": "First sample at the device: kind, wav (its file, on a virtual loudspeaker).",
        "playback.finished": "Last sample at the device: kind.",
        "audio.lost": "No sound from the microphone: device, reason, hint.",
        "audio.restored": "The microphone is back: device, after_s.",
        "audio.overrun": "Samples were lost at the device: count.",
        "output.lost": "The loudspeaker cannot be used: device, reason.",
        "output.restored": "The loudspeaker is back: device.",
        "engine.failed": "A local engine failed: engine, code, reason.",
        "engine.changed": "Another engine answers now: kind, engine, reason.",
        "engine.restored": "The configured engine answers again: kind, engine.",
        "mute.changed": "The microphone was opened or closed: muted, source.",
        "volume.changed": "Output volume: percent.",
        "button.pressed": "The button was used: gesture.",
        "timer.set": "A timer, alarm or reminder was set: id, kind, due_s.",
        "timer.cancelled": "It was cancelled: id.",
        "timer.ringing": "It is due and rings: id, kind, name.",
        "timer.stopped": "The ringing was stopped: id, by.",
        "error": "Something went wrong: code, message, hint.",
    }
)
"""Every type the daemon emits. Dotted lower case, as Standard Webhooks asks for."""


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. ``id`` rises with time; ``time`` is RFC 3339 UTC seconds since 1970."""

    id: int
    type: str
    time: float
    turn: str | None = None
    data: dict[str, Any] = {}


class Emit(Protocol):
    """How a room tells the house that something happened. Call it on the event loop only."""

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish an event of ``type``, one of `EVENT_TYPES`."""
        ...


class Subscription:
    """A bounded queue of events for one listener; the oldest is dropped, and counted, when it lags."""

    def __init__(self, bus: "Bus", patterns: tuple[str, ...], limit: int) -> None:
        self._bus = bus
        self._patterns = patterns
        self._queue: deque[Event] = deque(maxlen=limit)
        self._ready = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def offer(self, event: Event) -> None:
        """Queue ``event`` if it matches; called by the bus."""
        if not any(fnmatch.fnmatchcase(event.type, pattern) for pattern in self._patterns):
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(event)
        self._ready.set()

    def close(self) -> None:
        """End the iteration; idempotent."""
        self._closed = True
        self._bus.remove(self)
        self._ready.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:
                return
            self._ready.clear()
            await self._ready.wait()


class Bus:
    """Carries events from whoever emits them to whoever listens, without ever waiting for a listener."""

    def __init__(self, clock: Clock, *, history: int = 256) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._subscriptions: set[Subscription] = set()
        self._handlers: list[Callable[[Event], None]] = []
        self.history: deque[Event] = deque(maxlen=history)

    def emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish one event to every handler and subscription.

        A handler that raises is logged and does not stop the others.
        """
        event = Event(next(self._ids), type, self._clock.wall(), turn, data)
        self.history.append(event)
        # The queues first: what a handler emits in turn comes after its cause.
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        for handler in self._handlers:
            try:
                handler(event)
            except Exception:
                _log.exception("a handler of event %s failed", type)

    def handle(self, handler: Callable[[Event], None]) -> None:
        """Call ``handler`` with every event, on the loop, at once; it must not block."""
        self._handlers.append(handler)

    def subscribe(self, patterns: Iterable[str] = ("*",), *, limit: int = 256) -> Subscription:
        """Return a queue of the events whose type matches one of the glob ``patterns``."""
        subscription = Subscription(self, tuple(patterns), limit)
        self._subscriptions.add(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget ``subscription``; called by its own `close`."""
        self._subscriptions.discard(subscription)
