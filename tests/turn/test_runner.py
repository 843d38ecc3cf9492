"""The runner with a scripted provider, a scripted listener and a fake loudspeaker."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.config.schema import Turn as TurnConfig
from voxd.errors import Busy, DeviceError, LocalEngineError, VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.listen.speech_input import SpeechInput
from voxd.observe.ledger import LatencyLedger
from voxd.providers.contract import (
    LatencyStep,
    Provider,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    StepReached,
    Transcript,
)
from voxd.turn.inputs import (
    AwaitingSpeech,
    ListenRequested,
    MuteRequested,
    NoSpeechDetected,
    QuestionReceived,
    RepeatRequested,
    RingStarted,
    SayRequested,
    Source,
    State,
    StopRequested,
    UserSpeechEnded,
    UserSpeechStarted,
    WakeWordDetected,
)
from voxd.turn.machine import TurnMachine
from voxd.turn.reply_player import TurnRecord
from voxd.turn.ringer import PAUSE_S, WORDS_EVERY, Ringer
from voxd.turn.runner import TurnDependencies, TurnRunner
from voxd.turn.streams import once

CLIP = Clip(bytes(3200), SAMPLE_RATE_HZ)
WOKEN = WakeWordDetected("hey_jarvis", "default", 0.9, 16_000)
TIMEOUT_S = 5.0


class PaperSpeaker:
    """Takes one sound after another, as the real one does; ``held`` keeps each from ending."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.held.set()
        self.lost = self.full = False
        self.played: list[tuple[str, int]] = []
        self.playing: list[Playback] = []
        self._one = asyncio.Lock()

    def prepare(self) -> None:
        """Nothing to open."""

    def play(self, clips: AsyncIterator[Clip], *, kind: str, turn: str | None = None) -> Playback:
        if self.full:
            raise Busy("too many sounds wait to be played")
        playback = Playback(clips, kind, turn)
        playback.task = asyncio.create_task(self._play(playback))
        self.playing.append(playback)
        return playback

    @property
    def silent(self) -> bool:
        return all(playback.done for playback in self.playing)

    async def _play(self, playback: Playback) -> None:
        error: VoxdError | None = None
        count = 0
        try:
            async with self._one:
                if self.lost:
                    raise DeviceError("no loudspeaker")
                async for clip in playback.clips:
                    count += 1
                    playback.start(1000.0)
                    playback.played_ms += clip.duration_s * 1000
                await self.held.wait()
        except VoxdError as caught:
            error = caught
        except asyncio.CancelledError:
            pass
        finally:
            self.played.append((playback.kind, count))
            playback.end(error)

    async def close(self) -> None:
        for playback in self.playing:
            await playback.stop()


class ToldUtterance:
    """The user's speech, for as long as the test lets it run."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[Frame]:
        await self.over.wait()
        yield Frame(0, CLIP.pcm)


class ScriptedSpeechInput:
    """Remembers its orders."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.utterances: list[ToldUtterance] = []

    def capture(
        self, from_sample: int | None, hold: bool = False, follow_up_s: float | None = None
    ) -> ToldUtterance:
        self.orders.append(f"capture {from_sample} hold={hold} follow_up_s={follow_up_s}")
        self.utterances.append(ToldUtterance())
        return self.utterances[-1]

    def end_capture(self, sample: int | None) -> None:
        self.orders.append(f"end {sample}")

    def drop_capture(self) -> None:
        self.orders.append("drop")
        if self.utterances:
            self.utterances[-1].over.set()

    def time_of(self, sample: int) -> float:
        return 1000.0 + sample / SAMPLE_RATE_HZ


Script = Callable[[Request], AsyncGenerator[ReplyItem]]


async def answer(request: Request) -> AsyncGenerator[ReplyItem]:
    """The provider's usual script: it hears to the end, then says one sentence."""
    if request.audio is not None:
        async for _ in request.audio:
            pass
    yield Transcript("what time is it", True, "script")
    yield ReplyText("It is noon.")
    if request.speak:
        yield ReplyAudio(CLIP)
    yield ReplyEnd()


class ScriptedProvider:
    """Says what its script says; speaks any sentence as one clip."""

    name = "script"

    def __init__(self) -> None:
        self.script: Script = answer
        self.spoken: list[str] = []
        self.speech_error: VoxdError | None = None
        self.closed = self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        async with aclosing(self.script(request)) as replies:
            try:
                async for item in replies:
                    yield item
            finally:
                self.closed += 1

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        self.spoken.append(text)
        if self.speech_error:
            raise self.speech_error
        yield CLIP

    async def close(self) -> None:
        """Nothing to free."""


@dataclass
class House:
    """A runner and everything it touches."""

    runner: TurnRunner
    speech_input: ScriptedSpeechInput
    speaker: PaperSpeaker
    provider: ScriptedProvider
    emit: RecordingEmit
    ledger: LatencyLedger
    clock: FakeClock
    ended: list[TurnRecord] = field(default_factory=list)
    microphone: list[bool] = field(default_factory=list)
    stopped_rings: list[Source] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.runner.machine.state

    async def turn(self, given: QuestionReceived | SayRequested) -> TurnRecord:
        self.runner.feed(given)
        turn = self.runner.turn
        assert turn is not None
        async with asyncio.timeout(TIMEOUT_S):
            await turn.done.wait()
        await settle()
        return turn

    async def speak_a_command(self) -> None:
        """Wake word, speech, silence: the provider has the whole utterance afterwards."""
        self.runner.feed(WOKEN)
        self.runner.feed(UserSpeechStarted(17_000))
        self.speech_input.utterances[-1].over.set()
        self.runner.feed(UserSpeechEnded(32_000, "silence"))
        await settle()

    def outcomes(self) -> list[str]:
        return [turn.outcome for turn in self.ended]

    def events(self, type: str) -> list[dict[str, Any]]:
        return [data for seen, data in self.emit.events if seen == type]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock, speaker, speech_input, provider = (
        FakeClock(),
        PaperSpeaker(),
        ScriptedSpeechInput(),
        ScriptedProvider(),
    )
    emit, ledger = RecordingEmit(), LatencyLedger(clock)
    ended: list[TurnRecord] = []
    microphone: list[bool] = []
    stopped: list[Source] = []

    async def set_microphone(open_: bool) -> None:
        microphone.append(open_)

    surroundings = TurnDependencies(
        speech_input=cast(SpeechInput, speech_input),
        speaker=cast(Speaker, speaker),
        ringer=Ringer(cast(Speaker, speaker), clock, lambda: provider.speak("Your timer is done.")),
        ledger=ledger,
        provider_for=lambda agent: cast(Provider, provider),
        set_microphone=set_microphone,
        stop_ring=stopped.append,
        turn_ended=ended.append,
        emit=emit,
    )
    runner = TurnRunner(TurnMachine(), surroundings, TurnConfig())
    yield House(runner, speech_input, speaker, provider, emit, ledger, clock, ended, microphone, stopped)
    async with asyncio.timeout(TIMEOUT_S):
        await runner.close()
        await speaker.close()


async def test_a_spoken_command_is_answered_aloud(house: House) -> None:
    await house.speak_a_command()
    assert house.outcomes() == ["answered"]
    assert house.speaker.played == [("reply", 1)]
    assert house.ended[0].result.transcript == "what time is it"
    assert house.ended[0].result.reply == house.runner.last_reply == "It is noon."
    assert house.speech_input.orders == ["capture 16000 hold=False follow_up_s=None", "end 32000"]
    assert house.state is State.IDLE
    assert list(house.ended[0].stages_ms)[:2] == ["speech", "endpoint"]


async def test_why_the_device_could_not_answer_is_kept_with_the_turn(house: House) -> None:
    async def script(request: Request) -> AsyncGenerator[ReplyItem]:
        async for item in answer(request):
            yield ReplyEnd(refusal="needs_model") if isinstance(item, ReplyEnd) else item

    house.provider.script = script
    await house.speak_a_command()
    assert house.ended[0].result.refusal == "needs_model"


async def test_a_second_wake_word_takes_the_turn_to_its_own_agent(house: House) -> None:
    asked: list[str] = []

    async def script(request: Request) -> AsyncGenerator[ReplyItem]:
        asked.append(request.agent)
        async for reply in answer(request):
            yield reply

    house.provider.script = script
    house.runner.feed(WOKEN)
    house.runner.feed(WakeWordDetected("alexa", "house", 0.9, 24_000))
    house.runner.feed(UserSpeechStarted(25_000))
    house.speech_input.utterances[-1].over.set()
    house.runner.feed(UserSpeechEnded(32_000, "silence"))
    await settle()
    assert asked[-1] == "house"
    assert [(turn.agent, turn.outcome) for turn in house.ended] == [("house", "answered")]
    assert house.runner.agent == "house", "a follow-up question is for it too"


async def test_a_silent_question_gets_no_sound(house: House) -> None:
    turn = await house.turn(QuestionReceived("what time is it", speak=False))
    assert (turn.outcome, turn.result.reply) == ("answered", "It is noon.")
    assert house.speaker.played == []


async def test_a_silent_question_gets_no_spoken_apology(house: House) -> None:
    house.provider.script = failing(LocalEngineError("broken"))
    turn = await house.turn(QuestionReceived("what time is it", speak=False))
    assert turn.outcome == "engine_failed"
    assert turn.result.reply
    assert house.speaker.played == []


async def test_a_recorded_question_is_handed_over_in_frames(house: House) -> None:
    frames: list[Frame] = []

    async def script(request: Request) -> AsyncGenerator[ReplyItem]:
        assert request.audio is not None
        frames.extend([frame async for frame in request.audio])
        yield ReplyEnd()

    house.provider.script = script
    await house.turn(QuestionReceived(Clip(bytes(6400), SAMPLE_RATE_HZ), speak=True))
    assert [frame.start for frame in frames] == [0, 1280, 2560]
    assert sum(frame.samples for frame in frames) == 3200


async def test_engines_are_loaded_while_the_user_speaks_and_not_for_a_text(house: House) -> None:
    await house.turn(QuestionReceived("what time is it", speak=True))
    await house.turn(SayRequested("dinner is ready"))
    assert house.provider.prepared == 0, "a recogniser in memory is of no use to either"
    house.runner.feed(WOKEN)
    assert house.provider.prepared == 1


async def test_the_wake_word_interrupts_a_reply(house: House) -> None:
    house.speaker.held.clear()
    await house.speak_a_command()
    assert house.state is State.SPEAKING
    house.runner.feed(WOKEN)
    await settle()
    assert house.state is State.LISTENING
    assert house.speaker.silent
    assert house.events("turn.interrupted") == [{"by": "wake_word", "played_ms": 100}]
    assert house.outcomes() == ["interrupted"]


async def test_late_output_of_an_interrupted_reply_belongs_to_no_turn(house: House) -> None:
    """The next turn's state and ledger are its own."""
    house.speaker.held.clear()
    house.speaker.play(once(CLIP), kind="earcon")  # the reply waits behind it
    house.runner.feed(QuestionReceived("what time is it", speak=True))
    await settle()
    house.runner.feed(StopRequested(Source.SOCKET))
    go = asyncio.Event()

    async def waiting(request: Request) -> AsyncGenerator[ReplyItem]:
        await go.wait()
        yield ReplyEnd()

    house.provider.script = waiting
    house.runner.feed(QuestionReceived("and now", speak=True))
    await settle()
    assert house.state is State.THINKING
    last = house.ledger.last()
    assert last is not None
    assert last.stages == ()
    go.set()


async def test_a_question_of_the_device_listens_again_and_keeps_the_agent(house: House) -> None:
    async def asking(request: Request) -> AsyncGenerator[ReplyItem]:
        async for item in answer(request):
            yield ReplyEnd(expects_answer=True) if isinstance(item, ReplyEnd) else item

    house.provider.script = asking
    house.runner.feed(WakeWordDetected("alexa", "cook", 0.9, 16_000))
    house.speech_input.utterances[-1].over.set()
    house.runner.feed(UserSpeechEnded(32_000, "silence"))
    await settle()
    assert house.state is State.FOLLOW_UP
    assert house.speech_input.orders[-1] == "capture None hold=False follow_up_s=5.0"
    assert house.runner.turn is None, "nobody has answered yet"
    house.runner.feed(UserSpeechStarted(50_000))
    assert house.runner.turn is not None
    assert (house.runner.turn.source, house.runner.turn.agent) == (Source.FOLLOW_UP, "cook")
    house.provider.script = answer
    house.speech_input.utterances[-1].over.set()
    house.runner.feed(UserSpeechEnded(60_000, "silence"))
    await settle()
    assert house.outcomes() == ["answered", "answered"]
    assert house.state is State.IDLE


async def test_an_unanswered_follow_up_leaves_no_turn(house: House) -> None:
    async def asking(request: Request) -> AsyncGenerator[ReplyItem]:
        yield ReplyText("For how long?")
        yield ReplyEnd(expects_answer=True)

    house.provider.script = asking
    await house.turn(QuestionReceived("set a timer", speak=True))
    house.runner.feed(NoSpeechDetected())
    assert house.state is State.IDLE
    assert house.outcomes() == ["answered"]


def failing(error: Exception, *, after: int = 0) -> Script:
    """Return a script that fails after so many pieces of sound."""

    async def script(request: Request) -> AsyncGenerator[ReplyItem]:
        yield Transcript("what time is it", True, "script")
        for _ in range(after):
            yield ReplyText("One.")
            yield ReplyAudio(CLIP)
            await settle()
        raise error

    return script


@pytest.mark.parametrize("after", [0, 1, 40])
async def test_a_failed_reply_ends_in_an_apology_whenever_it_fails(house: House, after: int) -> None:
    house.provider.script = failing(LocalEngineError("broken", hint="mend it"), after=after)
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert turn.outcome == "engine_failed"
    assert house.provider.spoken == ["Sorry, something went wrong inside me. Please try again."]
    assert house.speaker.played[-1] == ("reply", 1)
    assert house.events("error") == [{"code": "engine_failed", "message": "broken", "hint": "mend it"}]
    assert house.state is State.IDLE


async def test_a_bug_in_a_provider_ends_in_an_apology_and_its_words_in_no_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.provider.script = failing(ValueError("zebra"))
    turn = await house.turn(QuestionReceived("feed the zebra", speak=True))
    assert turn.outcome == "internal"
    assert "zebra" not in str(house.events("error"))
    assert "zebra" not in caplog.text
    assert "ValueError" in caplog.text
    assert "test_runner.py" in caplog.text, "where it happened"


async def test_an_apology_that_fails_too_is_a_tone(house: House) -> None:
    house.provider.script = failing(LocalEngineError("broken"))
    house.provider.speech_error = LocalEngineError("no voice")
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert turn.outcome == "engine_failed"
    assert house.speaker.played == [("earcon", 1)]


@pytest.mark.parametrize("said_before", [False, True])
async def test_a_provider_that_falls_silent_is_given_up(house: House, said_before: bool) -> None:
    house.runner.configure(TurnConfig(reply_timeout_s=0.02))

    async def silent(request: Request) -> AsyncGenerator[ReplyItem]:
        if said_before:
            yield ReplyText("One moment.")
            yield ReplyAudio(CLIP)
        await asyncio.Event().wait()

    house.provider.script = silent
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert turn.outcome == "timeout"
    assert house.provider.spoken == ["Sorry, that took too long."]
    assert house.provider.closed == 1


async def test_a_burst_of_audio_is_heard_before_silence_counts(house: House) -> None:
    house.runner.configure(TurnConfig(reply_timeout_s=0.02))

    async def burst(request: Request) -> AsyncGenerator[ReplyItem]:
        yield ReplyText("It is noon.")
        yield ReplyAudio(Clip(bytes(SAMPLE_RATE_HZ // 5), SAMPLE_RATE_HZ))
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.09, done.set_result, None)
        await done
        yield ReplyEnd()

    house.provider.script = burst
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert turn.outcome == "answered"


@pytest.mark.parametrize("end", [ReplyEnd(), ReplyText(" "), None])
async def test_silence_is_no_answer(house: House, end: ReplyItem | None) -> None:
    async def empty(request: Request) -> AsyncGenerator[ReplyItem]:
        yield Transcript("what time is it", True, "text")
        if end is not None:
            yield end

    house.provider.script = empty
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert turn.outcome == "empty_answer"
    assert house.provider.spoken == ["Sorry, my assistant had no answer to that. Please ask again."]


async def test_an_action_may_be_the_answer(house: House) -> None:
    async def acts(request: Request) -> AsyncGenerator[ReplyItem]:
        yield ReplyEnd(silent=True)

    house.provider.script = acts
    turn = await house.turn(QuestionReceived("stop", speak=True))
    assert turn.outcome == "answered"


async def test_the_playback_time_of_a_long_reply_does_not_count_for_the_provider(house: House) -> None:
    house.runner.configure(TurnConfig(reply_timeout_s=0.02))
    house.speaker.held.clear()
    house.runner.feed(QuestionReceived("what time is it", speak=True))
    turn = house.runner.turn
    assert turn is not None
    patience = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.06, patience.set_result, None)
    await patience
    house.speaker.held.set()
    await turn.done.wait()
    assert turn.outcome == "answered"


async def test_without_a_loudspeaker_the_answer_is_still_given(house: House) -> None:
    house.speaker.lost = True
    turn = await house.turn(QuestionReceived("what time is it", speak=True))
    assert (turn.outcome, turn.result.reply) == ("answered", "It is noon.")


async def test_a_loudspeaker_with_a_full_queue_does_not_hold_the_turn(house: House) -> None:
    house.speaker.full = True

    async def long(request: Request) -> AsyncGenerator[ReplyItem]:
        yield ReplyText("A long story.")
        for _ in range(40):
            yield ReplyAudio(CLIP)
        yield ReplyEnd()

    house.provider.script = long
    turn = await house.turn(QuestionReceived("tell me a story", speak=True))
    assert turn.outcome == "answered"


async def test_repeat_speaks_the_last_reply_again(house: House) -> None:
    house.runner.feed(RepeatRequested(Source.BUTTON))
    await settle()
    await house.turn(QuestionReceived("what time is it", speak=True))
    house.runner.feed(RepeatRequested(Source.BUTTON))
    await settle()
    assert house.provider.spoken == ["I have not said anything yet.", "It is noon."]


async def test_say_ends_when_it_is_stopped(house: House) -> None:
    house.speaker.held.clear()
    house.runner.feed(SayRequested("a long story"))
    turn = house.runner.turn
    await settle()
    house.runner.feed(StopRequested(Source.SOCKET))
    assert turn is not None
    assert (turn.done.is_set(), turn.outcome) == (True, "cancelled")
    await settle()
    assert house.speaker.silent


async def test_a_turn_cancelled_before_it_began_leaves_nothing_behind(house: House) -> None:
    house.runner.feed(QuestionReceived("what time is it", speak=True))
    house.runner.feed(StopRequested(Source.SOCKET))
    await settle()
    assert house.outcomes() == ["cancelled"]
    assert (house.speaker.played, house.state) == ([], State.IDLE)


async def test_speech_stops_the_chime_even_at_the_same_moment(house: House) -> None:
    house.speaker.held.clear()
    house.runner.feed(WOKEN)
    house.runner.feed(AwaitingSpeech())
    house.runner.feed(UserSpeechStarted(20_000))
    await settle()
    assert [playback.kind for playback in house.speaker.playing] == ["earcon"]
    assert house.speaker.silent


async def test_a_chime_the_loudspeaker_cannot_play_is_not_a_failure(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.speaker.full = True
    house.runner.feed(WOKEN)
    house.runner.feed(AwaitingSpeech())
    await settle()
    assert house.state is State.LISTENING
    assert not caplog.records


async def test_the_ledger_of_a_typed_question_begins_when_it_was_asked(house: House) -> None:
    """Not at a wake word that was detected while another turn ran."""
    house.runner.feed(WOKEN)
    house.runner.feed(WakeWordDetected("hey_jarvis", "default", 0.9, 20_000))
    house.runner.feed(StopRequested(Source.SOCKET))
    await house.clock.advance(100)
    await house.turn(QuestionReceived("what time is it", speak=False))
    last = house.ledger.last()
    assert last is not None
    assert [stage.end_ms < 1000 for stage in last.stages] == [True, True]


async def test_muting_while_it_listens_drops_the_utterance(house: House) -> None:
    house.runner.feed(WOKEN)
    house.runner.feed(MuteRequested(True, Source.BUTTON))
    await settle()
    assert house.outcomes() == ["cancelled"]
    assert house.speech_input.orders[-1] == "drop"
    assert house.microphone == [False]
    assert house.state is State.MUTED


async def test_muting_while_it_speaks_lets_the_reply_finish(house: House) -> None:
    house.speaker.held.clear()
    await house.speak_a_command()
    house.runner.feed(MuteRequested(True, Source.SOCKET))
    assert house.state is State.SPEAKING
    house.speaker.held.set()
    await settle()
    assert (house.outcomes(), house.state) == (["answered"], State.MUTED)


async def test_a_ring_waits_for_the_reply_and_pauses_for_the_wake_word(house: House) -> None:
    house.speaker.held.clear()
    await house.speak_a_command()
    house.runner.feed(RingStarted())
    await settle()
    assert [playback.kind for playback in house.speaker.playing] == ["reply"]
    house.speaker.held.set()
    await settle()
    assert house.speaker.played[-1][0] == "ring"
    house.runner.feed(WOKEN)
    await settle()
    rings = len(house.speaker.played)
    await house.clock.advance(4 * PAUSE_S)
    assert len(house.speaker.played) == rings


async def test_a_ring_that_pauses_and_goes_on_at_once_goes_on(house: House) -> None:
    house.runner.feed(RingStarted())
    await settle()
    house.runner.feed(ListenRequested(Source.SOCKET, 0))
    house.runner.feed(NoSpeechDetected())
    rings = len(house.speaker.played)
    await house.clock.advance(4 * PAUSE_S)
    assert len(house.speaker.played) > rings


async def test_a_ring_the_loudspeaker_cannot_take_is_tried_again(house: House) -> None:
    house.speaker.full = True
    house.runner.feed(RingStarted())
    await settle()
    house.speaker.full = False
    await house.clock.advance(2 * PAUSE_S)
    assert ("ring", 1) in house.speaker.played


async def test_a_ring_announces_its_reason_at_intervals(house: House) -> None:
    house.runner.feed(RingStarted())
    await settle()
    for _ in range(WORDS_EVERY):
        await house.clock.advance(PAUSE_S)
    assert house.speaker.played == [("ring", 2), *[("ring", 1)] * (WORDS_EVERY - 1), ("ring", 2)]
    assert set(house.provider.spoken) == {"Your timer is done."}


async def test_a_ring_with_a_failing_announcement_still_rings(house: House) -> None:
    house.provider.speech_error = LocalEngineError("no voice")
    house.runner.feed(RingStarted())
    await settle()
    await house.clock.advance(PAUSE_S)
    assert house.speaker.played == [("ring", 1), ("ring", 1)]


async def test_stopping_a_ring_reports_the_origin(house: House) -> None:
    house.runner.feed(RingStarted())
    house.runner.feed(StopRequested(Source.BUTTON))
    await settle()
    assert house.stopped_rings == [Source.BUTTON]
    assert house.speaker.silent


async def test_closing_ends_the_turn_for_every_waiting_caller(house: House) -> None:
    house.speaker.held.clear()
    house.runner.feed(SayRequested("a long story"))
    turn = house.runner.turn
    await settle()
    await house.runner.close()
    assert turn is not None
    assert (turn.done.is_set(), turn.outcome) == (True, "cancelled")
    assert house.speaker.silent


async def test_an_utterance_lost_under_way_does_not_leave_the_device_listening(house: House) -> None:
    """The ears may give an utterance up without a word, as when the microphone is opened anew."""
    house.runner.feed(WOKEN)
    house.speech_input.utterances[-1].over.set()
    await settle()
    assert house.state is State.IDLE
    assert house.runner.turn is None


class Listening:
    """A provider's script that records, at its close, how much was reported as played."""

    def __init__(self, *, clips: int = 1, ends: bool = True) -> None:
        self.played_ms: list[float | None] = []
        self._clips = clips
        self._ends = ends

    async def __call__(self, request: Request) -> AsyncGenerator[ReplyItem]:
        try:
            for _ in range(self._clips):
                yield ReplyAudio(CLIP)
            if not self._ends:
                await asyncio.get_running_loop().create_future()
            yield ReplyEnd()
        finally:
            self.played_ms.append(request.playback.played_ms)


@pytest.mark.parametrize("ends", [False, True])
async def test_a_provider_whose_reply_is_cut_gets_the_amount_played(house: House, ends: bool) -> None:
    """Also when all of it had come: sound arrives faster than it is played."""
    house.provider.script = script = Listening(clips=2, ends=ends)
    house.speaker.held.clear()
    house.runner.feed(QuestionReceived("count", speak=True))
    await settle()
    assert script.played_ms == [], "not closed while it is heard"
    house.runner.feed(StopRequested(Source.SOCKET))
    await settle()
    assert script.played_ms == [200.0]


async def test_a_provider_whose_reply_was_played_gets_no_cut(house: House) -> None:
    house.provider.script = script = Listening()
    await house.turn(QuestionReceived("count", speak=True))
    assert script.played_ms == [None]


async def test_a_reply_cut_before_its_first_sound_counts_as_not_played(house: House) -> None:
    house.provider.script = script = Listening(clips=0, ends=False)
    house.runner.feed(QuestionReceived("count", speak=True))
    await settle()
    house.runner.feed(StopRequested(Source.SOCKET))
    await settle()
    assert script.played_ms == [0.0]


async def test_what_a_cloud_reached_is_in_the_ledger(house: House) -> None:
    async def script(request: Request) -> AsyncGenerator[ReplyItem]:
        yield StepReached(LatencyStep.SESSION_READY, house.clock.monotonic())
        yield ReplyAudio(CLIP)
        yield ReplyEnd()

    house.provider.script = script
    turn = await house.turn(QuestionReceived("count", speak=True))
    assert "connect" in turn.stages_ms
    assert "cloud" in turn.stages_ms
