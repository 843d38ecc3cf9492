"""Every live vendor, and every place at which its connection can break."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendor_servers import SOON
from tests.providers.vendors.stt_contract import SILENCE, WAIT_S, Speaker, heard_of
from tests.providers.vendors.stt_live import VENDORS, bench
from tests.servers.live_speech import Fault, LiveSpeech, Script
from tests.servers.words import SPACE_S, frames, spoken
from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.frames import Frame
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages import stt_stream as streaming
from voxd.providers.pipeline.stages.contract import Transcription, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_stream import RECONNECTS
from voxd.providers.vendors.assemblyai.stt import AssemblyAiSttProtocol
from voxd.providers.vendors.deepgram.stt import DeepgramSttProtocol

TEXT = "one two three four five six seven"
LENGTH_S = SPACE_S * len(TEXT.split())

JSON = ("deepgram", "deepgram_flux", "assemblyai", "elevenlabs", "openai_live")

every_vendor = pytest.mark.parametrize("kind", VENDORS)
every_vendor_of_json = pytest.mark.parametrize("kind", JSON)


def plenty(until_s: float | None = None) -> TranscriptionRequest:
    return TranscriptionRequest(budget=Budget(until_s, retries=5))


class Talker:
    """Speaks piece after piece, each when it is released."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self._go = asyncio.Semaphore(0)

    def go_on(self) -> None:
        self._go.release()

    async def sound(self) -> AsyncIterator[Frame]:
        for piece in self._pieces:
            for frame in frames(piece):
                yield frame
            await self._go.acquire()


def closing(after_s: float, code: int = 1011, *, on: int | None = 0) -> Fault:
    return Fault(after_s, on, closes=(code, "bye"))


def cut(kind: str, after_s: float, on: int, way: str | int) -> Fault:
    """Return a cut; these vendors say good-bye with 1000, so with them one of 1000 is none."""
    if isinstance(way, str):
        return breaking(after_s, on=on)
    return closing(after_s, 1011 if kind in {"deepgram_flux", "aws"} else way, on=on)


def breaking(after_s: float, *, on: int | None = 0) -> Fault:
    return Fault(after_s, on, breaks=True)


@every_vendor
@examples(40, deadline=None)
@given(
    first=st.floats(0, LENGTH_S),
    second=st.none() | st.floats(0, LENGTH_S),
    settles=st.integers(1, 4),
    ways=st.tuples(*2 * [st.sampled_from(["reset", 1000, 1011])]),
)
def test_no_word_is_lost_or_doubled_wherever_the_line_is_cut(
    kind: str, first: float, second: float | None, settles: int, ways: tuple[str | int, str | int]
) -> None:
    cuts = [(first, 0, ways[0])] + ([] if second is None else [(second, 1, ways[1])])
    faults = [cut(kind, at, on, way) for at, on, way in cuts]

    async def listen() -> list[Transcription]:
        async with bench(kind, Script(faults, settles=settles)) as bench_:
            return await heard_of(bench_.make(), spoken(TEXT), plenty())

    heard = asyncio.run(listen())
    assert heard[-1].text == TEXT
    assert [each.final for each in heard] == [False] * (len(heard) - 1) + [True]
    # What was shown on the way is the beginning of the text, never a word that nobody said.
    assert all(TEXT.startswith(each.text) for each in heard)


@every_vendor
async def test_what_is_said_while_the_line_is_down_is_understood_too(kind: str) -> None:
    async with bench(kind, Script([breaking(1.0)])) as bench_:
        talker = Talker(spoken("one two three"), spoken("four five"), spoken("six seven"))
        told, heard = plenty(), []

        async def listen() -> None:
            async with aclosing(bench_.make().transcribe(talker.sound(), told)) as hearing:
                heard.extend([each async for each in hearing])

        listening = asyncio.create_task(listen())
        await bench_.server.until(lambda: len(bench_.server.sessions) == 2)
        for _ in range(3):
            talker.go_on()
        await asyncio.wait_for(listening, WAIT_S)
        assert heard[-1].text == TEXT


@every_vendor
async def test_it_is_noted_without_words_that_the_line_was_cut(kind: str) -> None:
    async with bench(kind, Script([closing(1.0, 1011)])) as bench_:
        await heard_of(bench_.make(), spoken(TEXT), plenty())
        (note,) = bench_.notes
    assert note["kind"] == "reconnected"
    assert note["details"]["code"] == "server_error"
    assert 0 < note["details"]["replayed_s"] <= LENGTH_S
    assert not any(word in str(note) for word in TEXT.split())


@pytest.mark.parametrize("kind", ["deepgram", "deepgram_flux", "assemblyai"])
async def test_only_what_was_not_understood_is_sent_again(kind: str) -> None:
    async with bench(kind, Script([closing(2.0)])) as bench_:
        heard = await heard_of(bench_.make(), spoken(TEXT), plenty())
        first, second = bench_.server.sessions
    assert heard[-1].text == TEXT
    assert [word.text for word in first.recogniser.words[: first.settled]] == ["one", "two", "three", "four"]
    assert [word.text for word in second.recogniser.words] == ["five", "six", "seven"]


@every_vendor
async def test_what_is_sent_twice_is_paid_twice(kind: str) -> None:
    async with bench(kind) as bench_:
        once = (await heard_of(bench_.make(), spoken(TEXT)))[-1].usage
    async with bench(kind, Script([closing(LENGTH_S / 2)])) as bench_:
        twice = (await heard_of(bench_.make(), spoken(TEXT), plenty()))[-1].usage
    assert twice.transcribed_seconds > once.transcribed_seconds >= LENGTH_S - 0.2


@every_vendor
async def test_a_line_that_is_cut_again_and_again_is_given_up(kind: str) -> None:
    async with bench(kind, Script([breaking(0.5, on=None)])) as bench_:
        with pytest.raises(ConnectionFailed) as raised:
            await heard_of(bench_.make(), spoken(TEXT), plenty())
        assert len(bench_.server.sessions) == 1 + RECONNECTS
    assert raised.value.retryable
    assert raised.value.provider == kind


async def test_the_budget_of_the_turn_limits_the_attempts() -> None:
    async with bench("deepgram", Script([breaking(0.5, on=None)])) as bench_:
        told = TranscriptionRequest(budget=Budget(retries=1))
        with pytest.raises(ConnectionFailed):
            await heard_of(bench_.make(), spoken(TEXT), told)
        assert len(bench_.server.sessions) == 2
    assert told.budget.retries == 0


async def test_a_cut_after_everything_was_settled_needs_no_new_line() -> None:
    channel = {"alternatives": [{"transcript": "one"}]}
    # It claims more than it was sent, too.
    settled = {"type": "Results", "start": 0.0, "duration": 1e308, "is_final": True, "channel": channel}
    fault = Fault(SPACE_S, says=(json.dumps(settled),), closes=(1011, "bye"))
    async with bench("deepgram", Script([fault])) as bench_:
        heard = await heard_of(bench_.make(), spoken("one"), plenty())
        assert len(bench_.server.sessions) == 1
    assert (heard[-1].text, heard[-1].final) == ("one", True)
    assert heard[-1].usage.transcribed_seconds == pytest.approx(SPACE_S)


@every_vendor
async def test_a_session_that_the_vendor_ends_too_early_is_opened_again(kind: str) -> None:
    async with bench(kind, Script([closing(1.0, 1000)])) as bench_:
        talker = Talker(spoken(TEXT))
        hearing = asyncio.create_task(heard_from(bench_.make(), talker))
        await bench_.server.until(lambda: len(bench_.server.sessions) == 2)
        talker.go_on()
        assert (await hearing)[-1].text == TEXT


async def test_a_vendor_that_ends_while_the_user_speaks_is_reconnected() -> None:
    async with bench("deepgram", Script([Fault(0.5, says=('{"type":"Metadata"}',))])) as bench_:
        talker = Talker(spoken("one two"), spoken("three"))
        hearing = asyncio.create_task(heard_from(bench_.make(), talker))
        await bench_.server.until(lambda: len(bench_.server.sessions) == 2)
        talker.go_on()
        talker.go_on()
        assert (await hearing)[-1].text == "one two three"
        assert bench_.notes[0]["details"]["code"] == "closed_by_vendor"


async def test_what_seemed_to_be_said_on_a_line_that_was_cut_is_not_kept() -> None:
    ghost = '{"message_type":"partial_transcript","text":"ghost"}'
    quiet = '{"message_type":"insufficient_audio_activity","error":"quiet"}'
    faults = [Fault(0.5, 0, says=(ghost,), breaks=True), Fault(1.0, 1, says=(quiet,))]
    async with bench("elevenlabs", Script(faults)) as bench_:
        heard = await heard_of(bench_.make(), SILENCE, plenty())
    assert (heard[-1].text, heard[-1].final) == ("", True)


@every_vendor
async def test_a_failed_reconnection_is_reported(kind: str) -> None:
    async with bench(kind) as bench_:
        talker = Talker(spoken("one"))
        hearing = asyncio.create_task(heard_from(bench_.make(), talker, Budget(retries=1)))
        await bench_.server.until(lambda: bool(bench_.server.sessions and bench_.server.last.messages))
        bench_.server.refuse_all()
        bench_.server.last.socket.transport.abort()
        with pytest.raises(ConnectionFailed):
            await hearing


async def heard_from(
    stage: streaming.StreamingSpeechToText, talker: Talker, budget: Budget | None = None
) -> list[Transcription]:
    told = TranscriptionRequest(budget=budget or Budget(retries=5))
    async with asyncio.timeout(WAIT_S), aclosing(stage.transcribe(talker.sound(), told)) as hearing:
        return [each async for each in hearing]


@every_vendor
async def test_a_broken_connection_is_noticed_and_replaced(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Within a turn it has to be noticed soon; between turns there would be time.
    deadlines = replace(SOON, idle_s=60.0)
    monkeypatch.setattr("voxd.net.vendor_client.Deadlines", lambda: deadlines)
    async with bench(kind, Script([Fault(1.0, 0, freezes=True)])) as bench_:
        heard = await heard_of(bench_.make(), spoken(TEXT), plenty())
        (note,) = bench_.notes
    assert heard[-1].text == TEXT
    assert note["details"]["code"] == "half_open"


@every_vendor_of_json
async def test_messages_that_come_twice_are_not_understood_twice(kind: str) -> None:
    async with bench(kind, Script(echoes=2)) as bench_:
        assert (await heard_of(bench_.make(), spoken(TEXT)))[-1].text == TEXT


@every_vendor
@pytest.mark.parametrize(
    "garbage",
    ["", "<html>", b"\x00\xff\x00", "[]", "null", '{"type":', '{"message_type":', "[" * 3000],
)
async def test_garbage_in_the_middle_is_a_protocol_error(kind: str, garbage: str | bytes) -> None:
    async with bench(kind, Script([Fault(1.0, None, says=(garbage,))])) as bench_:
        with pytest.raises(StreamError) as raised:
            await heard_of(bench_.make(), spoken(TEXT), plenty())
        await bench_.server.until(lambda: bench_.server.open == 0)
        assert len(bench_.server.sessions) == 1
    assert raised.value.retryable, "another vendor may understand it"


@every_vendor_of_json
async def test_messages_of_a_later_version_are_passed_over(kind: str) -> None:
    new = ('{"type":"Weather","message_type":"weather","warm":true}', '{"type":"Weather","message_type":"x"}')
    async with bench(kind, Script([Fault(1.0, says=new)])) as bench_:
        assert (await heard_of(bench_.make(), spoken(TEXT)))[-1].text == TEXT


@every_vendor
async def test_a_final_text_that_is_late_is_not_waited_for(kind: str) -> None:
    hold = asyncio.Event()
    async with bench(kind, Script(hold=hold)) as bench_:
        now_s = asyncio.get_running_loop().time()
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(TEXT), plenty(now_s + 0.3))
        took_s = asyncio.get_running_loop().time() - now_s
        hold.set()
    assert raised.value.code == "timeout"
    assert raised.value.retryable
    assert raised.value.provider == kind
    assert 0.3 <= took_s < 1.5


async def test_without_a_budget_the_final_text_is_waited_for_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "FINAL_S", 0.1)
    async with bench("deepgram", Script(hold=asyncio.Event())) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(TEXT))
    assert raised.value.code == "timeout"


async def test_no_timeout_applies_while_the_user_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FINAL_S", 0.0)
    async with bench("deepgram", Script()) as bench_:
        talker = Talker(spoken("one two"), spoken("three"))
        hearing = bench_.make().transcribe(talker.sound(), plenty())
        first = await asyncio.wait_for(anext(hearing), WAIT_S)
        await hearing.aclose()
    assert TEXT.startswith(first.text)


async def test_a_vendor_is_kept_awake_while_the_user_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeepgramSttProtocol, "keep_alive_s", 0.02)
    async with bench("deepgram", Script(silence_s=0.5)) as bench_:
        talker = Talker(spoken("one two three"), spoken("four five six seven"))
        hearing = asyncio.create_task(heard_from(bench_.make(), talker))
        await bench_.server.until(lambda: bool(bench_.server.sessions))
        session = bench_.server.last
        await bench_.server.until(lambda: kept_awake(bench_.server) == 5)
        assert session.messages[-5:] == ['{"type":"KeepAlive"}'] * 5
        talker.go_on()
        talker.go_on()
        assert (await hearing)[-1].text == TEXT
        assert len(bench_.server.sessions) == 1


def kept_awake(server: LiveSpeech) -> int:
    return server.last.messages.count('{"type":"KeepAlive"}')


async def test_a_vendor_that_stopped_responding_is_reconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeepgramSttProtocol, "keep_alive_s", None)
    async with bench("deepgram", Script(silence_s=0.05)) as bench_:
        talker = Talker(spoken("one two three"), spoken("four five six seven"))
        hearing = asyncio.create_task(heard_from(bench_.make(), talker))
        await bench_.server.until(lambda: len(bench_.server.sessions) == 2)
        talker.go_on()
        talker.go_on()
        assert (await hearing)[-1].text == TEXT
        assert bench_.notes[0]["details"]["code"] == "server_error"


async def test_a_session_that_is_paid_by_time_is_ended_when_it_is_given_up() -> None:
    async with bench("assemblyai") as bench_:
        speaker = Speaker(spoken(TEXT))
        hearing = bench_.make().transcribe(speaker.sound(), TranscriptionRequest())
        await asyncio.wait_for(anext(hearing), WAIT_S)
        await hearing.aclose()
        await bench_.server.until(lambda: bench_.server.open == 0)
        assert bench_.server.last.messages[-1] == AssemblyAiSttProtocol("x", formatted=True).abort()[0]


@every_vendor
async def test_an_iterator_that_is_thrown_away_leaves_nothing_behind(kind: str) -> None:
    async with bench(kind) as bench_:
        before = asyncio.all_tasks()
        for _ in range(3):
            hearing = bench_.make().transcribe(Speaker(spoken("one two")).sound(), TranscriptionRequest())
            await asyncio.wait_for(anext(hearing), WAIT_S)
            await hearing.aclose()
        await bench_.server.until(lambda: bench_.server.open == 0)
        gc.collect()
        assert {task.get_name() for task in asyncio.all_tasks() - before} <= {"fake live vendor"}
