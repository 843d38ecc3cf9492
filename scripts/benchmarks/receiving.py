"""From a provider's sound received to the device's buffer, and from a barge-in to silence."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from scripts.benchmarks.doubles import discard_event, live_provider
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from scripts.benchmarks.vendor import DELTA, Vendor, vendor
from tests.rig.soundcard import SPEAKER_RATE_HZ, SoundCard, missing, sound_card
from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.clock import SystemClock
from voxd.config.schema import Audio
from voxd.frames import Clip
from voxd.net.websocket import WebSocketConnection
from voxd.providers.contract import Request
from voxd.providers.realtime.provider import RealtimeProvider
from voxd.turn.reply_player import Outcome, ReplyPlayer

BENCH = "receiving"
BUDGET_MS = 5
SEED = "< 10 ms"
STOP_SEED = "< 50 ms"
DELTA_MS = 40
"""Realtime providers send 20 to 100 ms at a time."""

_LOUD = 200
"""A sample of the fake's tone is louder than this most of the time; the card's own noise never is."""

_SETTLE_S = 0.5
"""So long a reply is heard before it is cut."""


def measure(options: Options) -> list[Row]:
    """Play replies of a fake vendor in another process that sends in real time; interrupt some of them."""
    seconds, cuts = (5, 4) if options.quick else (30, 20)
    pace_s = DELTA_MS / 1000
    with vendor(sound_ms=seconds * 1000, delta_ms=DELTA_MS, pace_s=pace_s) as fake:
        handoff_ms = asyncio.run(_streamed(fake))
        stops_ms = asyncio.run(_cut(fake, Audio(output="virtual"), cuts))
        rows = [
            *spread(
                BENCH,
                "provider audio received to the device's buffer",
                handoff_ms,
                (50, 99),
                budget=BUDGET_MS,
                seed=SEED,
            ),
            *spread(BENCH, "barge-in to silence, virtual loudspeaker", stops_ms, (50, 99), seed=STOP_SEED),
        ]
        if absent := missing():
            return [*rows, Row(bench=BENCH, what="barge-in to silence, PulseAudio card", skipped=absent)]
        return [*rows, *_on_a_card(options.directory(BENCH) / "card", fake, cuts)]


class Stamps(deque[float]):
    """Takes the hand-offs of a playback and notes when each was made."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__()
        self.at_s: list[float] = []
        self._clock = clock

    def append(self, wait_ms: float) -> None:
        """Note the time; how long the clip waited is not asked here."""
        self.at_s.append(self._clock.monotonic())


class TimedSpeaker(Speaker):
    """Notes when each piece was handed to the device."""

    playback: Playback | None = None

    def play(self, clips: AsyncIterator[Clip], *, kind: str, turn: str | None = None) -> Playback:
        """Play, and keep the playback."""
        self.playback = super().play(clips, kind=kind, turn=turn)
        self.playback.handoff_ms = Stamps(SystemClock())
        return self.playback


@asynccontextmanager
async def _house(fake: Vendor, audio: Audio) -> AsyncIterator[tuple[RealtimeProvider, TimedSpeaker]]:
    speaker, live = TimedSpeaker(audio, SystemClock(), discard_event), live_provider(fake)
    try:
        await speaker.start()
        yield live, speaker
    finally:
        await live.close()
        await speaker.close()


def _conversation(speaker: Speaker) -> ReplyPlayer:
    return ReplyPlayer(
        "t1",
        Outcome(),
        speaker=speaker,
        emit=discard_event,
        stamp=lambda stage, at_s=None, /: None,
        on_started=lambda: None,
    )


async def _streamed(fake: Vendor) -> list[float]:
    """Return for each piece of one reply how long it took from the socket to the device's buffer."""
    clock, received_s = SystemClock(), list[float]()
    receive = WebSocketConnection.receive

    async def noted(self: WebSocketConnection) -> str | bytes | None:
        message = await receive(self)
        if message is not None and DELTA in str(message[:200]):
            received_s.append(clock.monotonic())
        return message

    async with _house(fake, Audio(output="virtual")) as (live, speaker):
        with patch.object(WebSocketConnection, "receive", noted):
            await _conversation(speaker).run(live.converse(Request("t1", "default", text="speak")))
        assert speaker.playback is not None
        stamps = speaker.playback.handoff_ms
        assert isinstance(stamps, Stamps)
        return [(to - start) * 1000 for start, to in zip(received_s, stamps.at_s, strict=True)]


async def _cut(fake: Vendor, audio: Audio, count: int, card: SoundCard | None = None) -> list[float]:
    """Return how long each of ``count`` replies was still heard after the decision to cut it.

    On a card its own monitor is asked; else it is when the device's callback has thrown the rest away.
    """
    clock, took_ms = SystemClock(), []
    async with _house(fake, audio) as (live, speaker):
        for number in range(count):
            conversation = _conversation(speaker)
            replies = live.converse(Request(f"t{number}", "default", text="speak"))
            running = asyncio.create_task(conversation.run(replies))
            while speaker.playback is None or speaker.playback.played_ms < _SETTLE_S * 1000:
                await clock.sleep(0.01)
            recording = card.record() if card is not None else None
            if recording is not None:
                await asyncio.to_thread(recording.more, 0.2)
            heard = len(recording.wait_for_samples(1)) // 2 if recording is not None else 0
            began_s = clock.monotonic()
            await conversation.stop()
            took_ms.append((clock.monotonic() - began_s) * 1000)
            if recording is not None:
                await asyncio.to_thread(recording.more, 0.4)
                after = np.frombuffer(recording.stop(), np.int16)[heard:]
                loud = np.flatnonzero(np.abs(after) > _LOUD)
                took_ms[-1] = (int(loud[-1]) + 1 if len(loud) else 0) * 1000 / SPEAKER_RATE_HZ
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            speaker.playback = None
    return took_ms


def _on_a_card(directory: Path, fake: Vendor, cuts: int) -> list[Row]:
    directory.mkdir(parents=True)
    what = "barge-in to silence, at the monitor of a PulseAudio card"
    for card in sound_card(directory):
        with patch.dict(os.environ, card.env):
            stops_ms = asyncio.run(_cut(fake, Audio(output="vspeaker"), cuts, card))
    return spread(BENCH, what, stops_ms, (50, 99), seed=STOP_SEED)
