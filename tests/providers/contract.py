"""What every speech-to-speech provider must do, whoever wrote it: subclass `ProviderContract`."""

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

import pytest

from tests.payloads import problem
from voxd.errors import ProviderError, VoxdError
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.events import ProviderEvent
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

WAIT_S = 5.0
"""Nothing in the contract takes this long; a test that waits for more fails here instead of hanging."""

SHORT = "hello"
"""A question that is answered with a sentence."""

LONG = "tell me a long story"
"""A question whose answer goes on until it is interrupted, or at least for some seconds."""

Make = Callable[[], BaseProvider]


class Ear:
    """Everything a provider told, and a way to wait for more."""

    def __init__(self, provider: BaseProvider) -> None:
        self.events: list[ProviderEvent] = []
        self._more = asyncio.Event()
        provider.on_event = self._hear

    def _hear(self, event: ProviderEvent) -> None:
        self.events.append(event)
        self._more.set()

    def of(self, *types: E) -> list[ProviderEvent]:
        return [event for event in self.events if event.type in types]

    def types(self) -> list[E]:
        return [event.type for event in self.events]

    async def until(self, type: E, count: int = 1) -> ProviderEvent:
        """Return the ``count``-th event of ``type``."""
        async with asyncio.timeout(WAIT_S):
            while len(found := self.of(type)) < count:
                self._more.clear()
                await self._more.wait()
        return found[count - 1]


def tone(duration_ms: float, rate_hz: int, amplitude: int = 8000) -> bytes:
    """Something loud, as mono s16le."""
    count = int(duration_ms * rate_hz / 1000)
    samples = (int(amplitude * math.sin(2 * math.pi * 200 * n / rate_hz)) for n in range(count))
    return struct.pack(f"<{count}h", *samples)


def blocks(pcm: bytes, rate_hz: int, block_ms: int = 40) -> list[bytes]:
    """``pcm`` as a microphone delivers it."""
    size = rate_hz * block_ms // 1000 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


class ProviderContract:
    """Give the fixtures ``make`` and ``make_refused``; ``commits`` is False where the vendor hears turns only
    by itself."""

    commits: ClassVar[bool] = True

    @pytest.fixture
    def make(self) -> Make:
        """Returns new providers; their vendor answers `SHORT`, `LONG`, and sound like `SHORT`."""
        raise NotImplementedError

    @pytest.fixture
    def make_refused(self) -> Make:
        """Returns new providers that cannot connect."""
        raise NotImplementedError

    @pytest.fixture
    async def provider(self, make: Make) -> AsyncIterator[BaseProvider]:
        provider = make()
        yield provider
        await provider.disconnect()

    @pytest.fixture
    async def ear(self, provider: BaseProvider) -> Ear:
        ear = Ear(provider)
        await provider.configure_session(SessionConfig(instructions="be brief"))
        await provider.connect()
        return ear

    async def test_it_opens_and_closes_and_both_can_be_said_twice(self, provider: BaseProvider) -> None:
        assert not provider.is_connected
        for _ in range(2):
            await provider.connect()
            assert provider.is_connected
        for _ in range(2):
            await provider.disconnect()
            assert not provider.is_connected

    async def test_nothing_of_it_runs_after_it_was_closed(self, make: Make) -> None:
        before = asyncio.all_tasks()
        provider = make()
        ear = Ear(provider)
        await provider.connect()
        await provider.send_text(LONG)
        await ear.until(E.RESPONSE_STARTED)
        await provider.disconnect()
        count = len(ear.events)
        left = asyncio.all_tasks() - before
        assert {task.get_name() for task in left} <= self.others_tasks()
        assert len(ear.events) == count
        assert E.CONNECTION_LOST not in ear.types(), "a close on purpose is no loss"

    def others_tasks(self) -> set[str]:
        """The names of tasks that are not the provider's: those of a fake server."""
        return set()

    async def test_one_that_was_never_opened_can_be_closed(self, make: Make) -> None:
        await make().disconnect()

    async def test_a_refused_session_raises_and_leaves_nothing(self, make_refused: Make) -> None:
        before = asyncio.all_tasks()
        provider = make_refused()
        with pytest.raises(ProviderError) as raised:
            await provider.connect()
        assert raised.value.code != "internal"
        assert str(raised.value)
        assert not provider.is_connected
        await provider.disconnect()
        assert {task.get_name() for task in asyncio.all_tasks() - before} <= self.others_tasks()

    async def test_nothing_can_be_sent_before_it_is_open(self, provider: BaseProvider) -> None:
        for send in (provider.send_text("hello"), provider.send_audio(bytes(960)), provider.interrupt()):
            with pytest.raises(VoxdError):
                await send

    async def test_a_typed_question_is_answered_in_words_and_sound_in_order(
        self, provider: BaseProvider, ear: Ear
    ) -> None:
        await provider.send_text(SHORT)
        completed = await ear.until(E.RESPONSE_COMPLETED)
        types = ear.types()
        assert types.count(E.RESPONSE_STARTED) == 1
        assert types.index(E.RESPONSE_STARTED) < types.index(E.TEXT_OUTPUT)
        assert types.index(E.RESPONSE_STARTED) < types.index(E.AUDIO_OUTPUT_STARTED)
        assert types.index(E.AUDIO_OUTPUT_STARTED) < types.index(E.AUDIO_OUTPUT_CHUNK)
        last_chunk = len(types) - 1 - types[::-1].index(E.AUDIO_OUTPUT_CHUNK)
        assert last_chunk < types.index(E.AUDIO_OUTPUT_STOPPED) < types.index(E.RESPONSE_COMPLETED)
        ids = {event.data["response_id"] for event in ear.of(E.RESPONSE_STARTED, E.AUDIO_OUTPUT_CHUNK)}
        assert ids == {completed.data["response_id"]}

    async def test_the_pieces_of_the_words_make_up_the_whole(self, provider: BaseProvider, ear: Ear) -> None:
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        texts = ear.of(E.TEXT_OUTPUT)
        pieces = "".join(event.data["text"] for event in texts if event.data["is_partial"])
        (whole,) = [event.data["text"] for event in texts if not event.data["is_partial"]]
        assert whole.strip()
        assert not pieces or pieces.strip() == whole.strip()

    async def test_its_sound_is_pcm_at_the_rate_it_names(self, provider: BaseProvider, ear: Ear) -> None:
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        chunks = ear.of(E.AUDIO_OUTPUT_CHUNK)
        assert {chunk.data["sample_rate"] for chunk in chunks} == {provider.capabilities.output_rate_hz}
        assert all(isinstance(chunk.data["audio_data"], bytes) for chunk in chunks)
        assert all(len(chunk.data["audio_data"]) % 2 == 0 for chunk in chunks)
        size = sum(len(chunk.data["audio_data"]) for chunk in chunks)
        duration_ms = size / 2 / provider.capabilities.output_rate_hz * 1000
        assert ear.of(E.AUDIO_OUTPUT_STOPPED)[0].data["duration_ms"] == pytest.approx(duration_ms, abs=1)

    async def test_a_spoken_question_is_answered_when_it_was_committed(
        self, provider: BaseProvider, ear: Ear
    ) -> None:
        if not self.commits:
            pytest.skip("this vendor hears by itself when somebody has finished")
        rate_hz = provider.capabilities.input_rate_hz
        for block in blocks(tone(1000, rate_hz), rate_hz):
            await provider.send_audio(block)
        await provider.commit()
        await ear.until(E.RESPONSE_COMPLETED)
        assert ear.of(E.AUDIO_OUTPUT_CHUNK)

    async def test_after_an_interruption_nothing_more_of_the_reply_comes(
        self, provider: BaseProvider, ear: Ear
    ) -> None:
        await provider.send_text(LONG)
        chunk = await ear.until(E.AUDIO_OUTPUT_CHUNK)
        await provider.interrupt(50.0)
        seen = len(ear.events)
        await provider.send_text(SHORT)
        completed = await ear.until(E.RESPONSE_COMPLETED)
        cut = chunk.data["response_id"]
        assert completed.data["response_id"] != cut
        late = [
            event
            for event in ear.events[seen:]
            if event.type in (E.AUDIO_OUTPUT_CHUNK, E.TEXT_OUTPUT) and event.data["response_id"] == cut
        ]
        assert late == []
        assert [event.data["response_id"] for event in ear.of(E.RESPONSE_CANCELLED)] == [cut]

    async def test_an_interruption_of_nothing_does_nothing(self, provider: BaseProvider, ear: Ear) -> None:
        await provider.interrupt(0.0)
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        await provider.interrupt()
        assert ear.of(E.RESPONSE_CANCELLED, E.ERROR_GENERAL) == []

    async def test_it_can_be_told_again_how_to_be_while_it_is_open(
        self, provider: BaseProvider, ear: Ear
    ) -> None:
        await provider.configure_session({"instructions": "be long", "turn_detection": "client"})
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        assert ear.of(E.ERROR_GENERAL) == []

    async def test_it_can_be_told_what_was_said_before(self, provider: BaseProvider, ear: Ear) -> None:
        await provider.add_history("user", "my name is Ada")
        await provider.add_history("assistant", "Hello Ada.")
        assert ear.of(E.RESPONSE_STARTED) == [], "nobody has asked anything"
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)

    async def test_it_tells_what_it_used_in_numbers(self, provider: BaseProvider, ear: Ear) -> None:
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        usage, cost = await provider.get_usage(), await provider.estimate_cost()
        assert usage is None or (isinstance(usage, Usage) and usage != Usage())
        assert cost is None or (isinstance(cost, Cost) and cost.total > 0)

    async def test_its_events_hold_what_the_table_of_events_says(
        self, provider: BaseProvider, ear: Ear
    ) -> None:
        await provider.send_text(LONG)
        await ear.until(E.AUDIO_OUTPUT_CHUNK)
        await provider.interrupt(20.0)
        await provider.send_text(SHORT)
        await ear.until(E.RESPONSE_COMPLETED)
        assert [
            problem(event.type, event.data) for event in ear.events if problem(event.type, event.data)
        ] == []

    async def test_it_can_be_opened_again_after_it_was_closed(self, make: Make) -> None:
        for _ in range(2):
            provider = make()
            ear = Ear(provider)
            await provider.connect()
            await provider.send_text(SHORT)
            await ear.until(E.RESPONSE_COMPLETED)
            await provider.disconnect()
