"""What was spoken before is not asked again: on disk, shared, whole, and only for the same voice."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.fakes import RecordingEmit
from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget, Transport
from voxd.providers.pipeline import phrase_cache as phrases
from voxd.providers.pipeline.phrase_cache import PIECE_S, PhraseCache, phrase_key
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech

RATE_HZ = 24_000
PARTS = [np.random.default_rng(seed).normal(0, 900, 6000).astype("<i2").tobytes() for seed in range(3)]
WHOLE = b"".join(PARTS)
LIMIT = 1_000_000


class Voice(TextToSpeech):
    """Speaks three clips, the second when it is allowed to."""

    heeding = False

    def __init__(self, **config: Any) -> None:
        super().__init__(StageConfig(**{"name": "voice", "kind": "fake", **config}), cast(Transport, None))
        self.asked: list[tuple[str, str]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fault: Exception | None = None
        self.rates_hz = [RATE_HZ] * 3
        self.cancelled = 0

    @property
    def heeds_previous(self) -> bool:
        return self.heeding

    async def check(self, budget: Budget) -> None:
        raise NotImplementedError

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        self.asked.append((text, previous))
        try:
            for number, (part, rate_hz) in enumerate(zip(PARTS, self.rates_hz, strict=True)):
                if number:
                    await self.go_on.wait()
                    if self.fault is not None:
                        raise self.fault
                yield Clip(part, rate_hz)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Heeding(Voice):
    heeding = True


class Desk:
    """A cache with a directory of its own."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT) -> None:
        self.path = path
        self.emit = RecordingEmit()
        self.cache = PhraseCache(path, limit_bytes=limit_bytes, emit=self.emit)

    async def hear(self, voice: Voice, text: str = "hello", previous: str = "") -> bytes:
        clips = [clip async for clip in self.cache.synthesize(voice, text, Budget(), previous)]
        assert {clip.rate_hz for clip in clips} == {RATE_HZ}
        return b"".join(clip.pcm for clip in clips)

    async def written(self) -> list[Path]:
        """Wait for the files and return them."""
        await self.cache._tasks.join()
        return sorted(self.path.glob("*")) if self.path.exists() else []

    @property
    def hits(self) -> list[bool]:
        return [data["hit"] for type, data in self.emit.events if type == "cache.used"]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "phrases")
    yield made
    async with asyncio.timeout(5):
        await made.cache.close()


async def test_the_second_time_comes_from_the_cache(desk: Desk) -> None:
    voice = Voice()
    assert await desk.hear(voice) == WHOLE
    assert len(await desk.written()) == 1
    assert await desk.hear(voice) == WHOLE
    assert voice.asked == [("hello", "")]
    assert desk.hits == [False, True]


async def test_silence_is_not_kept(desk: Desk) -> None:
    async def nothing(text: str, budget: Budget, *, previous: str = "") -> AsyncIterator[Clip]:
        yield Clip(bytes(4800), RATE_HZ)

    voice = Voice()
    voice.synthesize = nothing  # type: ignore[method-assign,assignment]
    assert await desk.hear(voice) == bytes(4800)
    assert await desk.written() == []


async def test_it_survives_a_restart(desk: Desk) -> None:
    await desk.hear(Voice())
    await desk.written()
    voice = Voice()
    assert await Desk(desk.path).hear(voice) == WHOLE
    assert voice.asked == []


async def test_what_is_kept_comes_in_pieces(desk: Desk) -> None:
    await desk.hear(Voice())
    await desk.written()
    lengths_s = [clip.duration_s async for clip in desk.cache.synthesize(Voice(), "hello", Budget())]
    assert lengths_s == [PIECE_S, PIECE_S, PIECE_S, pytest.approx(0.15)]


async def test_the_first_sound_is_not_delayed(desk: Desk) -> None:
    voice = Voice()
    voice.go_on.clear()
    async with asyncio.timeout(5), aclosing(desk.cache.synthesize(voice, "hello", Budget())) as clips:
        assert (await anext(clips)).pcm == PARTS[0], "while the voice has not spoken on"
        voice.go_on.set()
        assert [clip.pcm async for clip in clips] == PARTS[1:]


async def test_two_readers_of_one_phrase_share_a_request_and_get_all_of_it(desk: Desk) -> None:
    voice = Voice()
    voice.go_on.clear()
    first = desk.cache.synthesize(voice, "hello", Budget())
    async with asyncio.timeout(5), aclosing(first):
        await anext(first)
        second = asyncio.create_task(desk.hear(voice))
        await asyncio.sleep(0)
        voice.go_on.set()
        assert [clip.pcm async for clip in first] == PARTS[1:]
        assert await second == WHOLE
    assert voice.asked == [("hello", "")]
    assert desk.hits == [False, True]


async def test_a_reader_that_stops_does_not_stop_the_other(desk: Desk) -> None:
    voice = Voice()
    voice.go_on.clear()
    first = desk.cache.synthesize(voice, "hello", Budget())
    await anext(first)
    second = asyncio.create_task(desk.hear(voice))
    await asyncio.sleep(0)
    await first.aclose()
    voice.go_on.set()
    async with asyncio.timeout(5):
        assert await second == WHOLE
    assert len(await desk.written()) == 1


async def test_when_the_last_one_goes_the_voice_stops_and_nothing_is_kept(desk: Desk) -> None:
    voice = Voice()
    voice.go_on.clear()
    clips = desk.cache.synthesize(voice, "hello", Budget())
    await anext(clips)
    async with asyncio.timeout(5):
        await clips.aclose()
    assert voice.cancelled == 1
    assert await desk.written() == []
    voice.go_on.set()
    assert await desk.hear(voice) == WHOLE


@pytest.mark.parametrize("fault", [ProviderError("gone"), ValueError("a bug")])
async def test_a_fault_reaches_every_reader_and_is_not_cached(desk: Desk, fault: Exception) -> None:
    voice = Voice()
    voice.go_on.clear()
    voice.fault = fault
    first = desk.cache.synthesize(voice, "hello", Budget())
    assert (await anext(first)).pcm == PARTS[0]
    second = asyncio.create_task(desk.hear(voice))
    await asyncio.sleep(0)
    voice.go_on.set()
    for listening in (anext(first), second):
        with pytest.raises(type(fault), match=str(fault)):
            await listening
    assert await desk.written() == []
    voice.fault = None
    assert await desk.hear(voice) == WHOLE, "the next one may have more luck"


async def test_a_sound_that_changes_its_rate_is_not_kept(desk: Desk) -> None:
    voice = Voice()
    voice.rates_hz = [RATE_HZ, RATE_HZ, 16_000]
    async with aclosing(desk.cache.synthesize(voice, "hello", Budget())) as clips:
        assert [clip.rate_hz async for clip in clips] == voice.rates_hz
    assert await desk.written() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
async def test_a_damaged_file_is_spoken_anew_and_replaced(desk: Desk, damage: str) -> None:
    voice = Voice()
    await desk.hear(voice)
    [file] = await desk.written()
    data = file.read_bytes()
    changed = bytes([data[len(data) // 2] ^ 1])
    bad = {"cut": data[:-9], "changed": data[: len(data) // 2] + changed + data[len(data) // 2 + 1 :]}
    file.write_bytes(bad.get(damage, b""))
    assert await desk.hear(voice) == WHOLE
    assert len(voice.asked) == 2
    await desk.written()
    assert file.read_bytes() == data
    assert desk.hits == [False, False]


async def test_a_slow_disk_is_not_waited_for_and_logged_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    voice = Voice()
    await desk.hear(voice)
    await desk.written()
    monkeypatch.setattr(phrases, "READ_S", 0.01)
    hanging = threading.Event()
    monkeypatch.setattr(phrases, "decode_flac", lambda data: hanging.wait(20))
    try:
        assert await desk.hear(voice) == WHOLE
        assert await desk.hear(voice) == WHOLE
    finally:
        hanging.set()
    assert len(voice.asked) == 3
    assert desk.hits == [False, False, False]
    assert caplog.text.count("the disk is slow") == 1


async def test_the_least_used_goes_when_there_is_too_much(desk: Desk) -> None:
    voice = Voice()
    await desk.hear(voice)
    [file] = await desk.written()
    small = Desk(desk.path, limit_bytes=2 * file.stat().st_size)
    for text in ("two", "hello", "three"):
        await small.hear(voice, text)
        await small.written()
    assert [text for text, _ in voice.asked] == ["hello", "two", "three"]
    await small.hear(voice, "two")
    assert len(voice.asked) == 4, "it had gone"
    await small.cache.close()


async def test_forgetting_deletes_it_and_what_is_being_spoken_is_not_kept(desk: Desk) -> None:
    voice = Voice()
    await desk.hear(voice)
    await desk.written()
    voice.go_on.clear()
    clips = desk.cache.synthesize(voice, "another", Budget())
    async with aclosing(clips):
        await anext(clips)
        await desk.cache.forget()
        voice.go_on.set()
        assert len([clip async for clip in clips]) == 2
    assert await desk.written() == []


async def test_closing_ends_what_is_spoken(desk: Desk) -> None:
    voice = Voice()
    voice.go_on.clear()
    clips = desk.cache.synthesize(voice, "hello", Budget())
    await anext(clips)
    async with asyncio.timeout(5):
        await desk.cache.close()
        with pytest.raises(StreamError, match="cancelled"):
            await anext(clips)
    assert voice.cancelled == 1


VARIANTS: list[Mapping[str, Any]] = [
    {"kind": "other"},
    {"model": "m"},
    {"voice": "v"},
    {"language": "de"},
    {"endpoint": "https://example.org"},
    {"options": {"speed": 1.1}},
    {"options": {"speed": 1.2}},
    {"options": {"speed": 1.2, "pitch": 1}},
]


def test_everything_that_changes_the_sound_is_in_the_key() -> None:
    keys = {phrase_key(Voice(**variant), "hello", "") for variant in VARIANTS}
    keys |= {phrase_key(Voice(), text, "") for text in ("hello", "Hello", "hello ")}
    assert len(keys) == len(VARIANTS) + 3
    assert {len(key) for key in keys} == {64}


def test_the_key_does_not_depend_on_the_order_of_options_or_the_name() -> None:
    one = Voice(name="one", options={"a": 1, "b": {"c": 2, "d": 3}})
    two = Voice(name="two", options={"b": {"d": 3, "c": 2}, "a": 1})
    assert phrase_key(one, "hello", "") == phrase_key(two, "hello", "")


async def test_what_came_before_counts_only_where_the_voice_heeds_it(desk: Desk) -> None:
    careless, careful = Voice(), Heeding(voice="careful")
    for voice in (careless, careful):
        for before in ("", "Oh."):
            await desk.hear(voice, "hello", before)
            await desk.written()
    assert careless.asked == [("hello", "")]
    assert careful.asked == [("hello", ""), ("hello", "Oh.")]
