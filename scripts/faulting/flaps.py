"""A connection that comes and goes, two hundred times: every question is answered or kept, once."""

import asyncio
import base64
import random
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripts.faulting.chains import Chain
from scripts.faulting.vendors import Vendors, vendors
from tests.rig.faultproxy import FaultProxy
from tests.rig.process import VoxdProcess
from tests.rig.speech import say
from voxd.audio.files import wav_bytes, write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip

QUESTION = "who painted the ceiling of the chapel"
"""The device cannot answer this by itself: a provider answers it, or it is kept in the queue."""

DRAIN_S = 300.0


@dataclass
class Tally:
    """What became of the questions; ``lost`` and ``doubled`` must stay empty."""

    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    answered_later: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    @property
    def lost(self) -> set[str]:
        """What was kept and never answered."""
        return set(self.kept) - set(self.answered_later)

    @property
    def doubled(self) -> list[str]:
        """What was answered more than once."""
        return [id for id, count in Counter(self.answered_later).items() if count > 1]

    @property
    def silent(self) -> int:
        """Questions that came to nothing."""
        return self.asked - sum(self.outcomes.values())


async def flap(chain: Chain, directory: Path, flaps: int, *, seed: int = 1) -> Tally:
    """Ask ``flaps`` questions of one daemon, while the network changes before and during each."""
    chance, tally = random.Random(seed), Tally()
    async with vendors(QUESTION) as city:
        quiet = directory / "quiet.wav"
        write_wav(quiet, Clip(bytes(32_000), SAMPLE_RATE_HZ))
        settings = ('audio.input="virtual"', 'audio.output="virtual"', f'audio.virtual_input="{quiet}"')
        # Else the queue says honestly that it is full, and there is nothing to be counted.
        settings += (f"queue.max_utterances={2 * flaps}",)
        settings += chain.settings(lambda name: f"127.0.0.1:{city.port(name)}")
        process = VoxdProcess(directory, sets=settings)
        try:
            await process.start()
            listening = asyncio.create_task(_listen(process, tally))
            sound = base64.b64encode(wav_bytes(say(QUESTION, directory))).decode()
            for _ in range(flaps):
                await _ask(process, sound, tally, _weather(city, chain, chance))
            _calm(city, chain)
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    while tally.lost:
                        await asyncio.sleep(0.2)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        finally:
            await process.close()
    return tally


async def _ask(process: VoxdProcess, sound: str, tally: Tally, change: Callable[[], None]) -> None:
    tally.asked += 1
    async with process.client() as client:
        asking = asyncio.create_task(client.call("turn.ask_audio", wav_base64=sound, speak=False))
        await asyncio.sleep(0.05)
        change()
        answer = await asking
    tally.outcomes[str(answer["outcome"])] += 1


def _weather(city: Vendors, chain: Chain, chance: random.Random) -> Callable[[], None]:
    """Change the network now, and return how it changes in the middle of the question."""
    _strike(city, chain, chance)
    return lambda: _strike(city, chain, chance)


def _strike(city: Vendors, chain: Chain, chance: random.Random) -> None:
    kind = chance.choice(("calm", "calm", "refuse", "reset", "blackhole"))
    for name in chain.hit:
        door: FaultProxy = city.doors[name]
        door.set(refuse=kind == "refuse", blackhole=kind == "blackhole")
        if kind == "reset":
            door.reset_all()


def _calm(city: Vendors, chain: Chain) -> None:
    for name in chain.hit:
        city.doors[name].set()
        city.doors[name].reset_all()


async def _listen(process: VoxdProcess, tally: Tally) -> None:
    lists = {
        "queue.added": tally.kept,
        "queue.answered": tally.answered_later,
        "queue.dropped": tally.dropped,
    }
    async with process.client() as client:
        subscription = client.subscribe(tuple(lists))
        async with aclosing(subscription):
            async for event in subscription:
                if event.get("type") in lists:
                    lists[event["type"]].append(event["data"]["id"])
