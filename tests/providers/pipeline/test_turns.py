"""A pipeline under everything that drives providers: sessions, turns, tools, and the device's own engines."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.local.speech import WHISPER_MODEL, say
from tests.providers.contract import Ear
from tests.providers.pipeline.rig import BLOCK, QUESTION, Rig
from tests.providers.pipeline.stage_fakes import HANG, Brain, Ears, Voice
from tests.shared import needs_shared
from voxd.clock import SystemClock
from voxd.config.schema import Stt, Tts, Whisper
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.frames import Clip, Frame
from voxd.local.engines import EngineResources, build_synthesizer, whisper_transcriber
from voxd.providers.contract import (
    PlaybackResult,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.events import publish_to
from voxd.providers.pipeline.local_stages import LocalStt, LocalTts
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import ToolCall, TranscriptionRequest
from voxd.providers.realtime.provider import RealtimeConfig as Told
from voxd.providers.realtime.provider import RealtimeProvider
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox, tool
from voxd.providers.usage import Usage

NOWHERE = Path("/nonexistent")


async def frames(pcm: bytes = QUESTION) -> AsyncIterator[Frame]:
    for at in range(0, len(pcm), BLOCK):
        yield Frame(at // 2, pcm[at : at + BLOCK])


async def unspoken(text: str) -> AsyncGenerator[Clip]:
    raise AssertionError("the pipeline speaks itself")
    yield Clip(b"", 16_000)


def live(rig: Rig, *tools: Any) -> RealtimeProvider:
    return RealtimeProvider(
        Told(
            "house",
            "pipeline",
            lambda: PipelineProvider({"parts": rig.parts}),
            SessionConfig(),
            first_audio_timeout_s=3.0,
        ),
        tools=ToolBox(tools),
        emit=rig.emit,
        clock=rig.clock,
        speak=unspoken,
    )


async def answer(provider: RealtimeProvider, request: Request) -> list[ReplyItem]:
    async with asyncio.timeout(10):
        return [item async for item in provider.converse(request)]


def real(**stages: Any) -> Rig:
    clock: Any = SystemClock()
    return Rig(clock=clock, **{kind: make(clock) for kind, make in stages.items()})


async def test_a_turn_is_understood_spoken_and_ends() -> None:
    provider = live(real(llm=lambda clock: [Brain("brain", clock, "One two. Is it so?")]))
    items = await answer(provider, Request("t1", "default", frames()))
    assert [item.text for item in items if isinstance(item, Transcript)] == ["what time is it"]
    assert [item.text for item in items if isinstance(item, ReplyText)] == ["One two.", "Is it so?"]
    assert sum(item.clip.duration_s for item in items if isinstance(item, ReplyAudio)) > 0.1
    assert items[-1] == ReplyEnd(expects_answer=True)
    await provider.close()


async def test_tools_of_the_device_are_run_and_their_results_told() -> None:
    def get_time(zone: str) -> str:
        return f"noon in {zone}"

    call = ToolCall("c1", "get_time", '{"zone": "Rome"}')
    brains: list[Brain] = []

    def make(clock: Any) -> list[Brain]:
        brains.append(Brain("brain", clock, ("Let me look. ", call), "It is noon."))
        return brains

    provider = live(real(llm=make), tool(get_time))
    items = await answer(provider, Request("t1", "default", text="what time is it"))
    assert [item.text for item in items if isinstance(item, ReplyText)] == ["Let me look.", "It is noon."]
    assert brains[0].prompts[0].tools[0].name == "get_time"
    assert brains[0].prompts[1].messages[-1].text == "noon in Rome"
    await provider.close()


async def test_what_was_not_heard_is_not_remembered_in_the_next_turn() -> None:
    brains: list[Brain] = []

    def make(clock: Any) -> list[Brain]:
        brains.append(Brain("brain", clock, "One two three four. Five six seven.", "Well."))
        return brains

    provider = live(real(llm=make))
    heard = PlaybackResult()
    async with aclosing(provider.converse(Request("t1", "default", text="count", playback=heard))) as items:
        async for item in items:
            if isinstance(item, ReplyEnd):
                heard.played_ms = 100.0
    await answer(provider, Request("t2", "default", text="go on"))
    assert [line.text for line in brains[0].prompts[1].messages] == ["count", "One two", "go on"]
    await provider.close()


async def test_no_available_model_is_an_error_of_the_provider() -> None:
    rig = real()
    rig.board.unhealthy = rig.board.barred = {"brain"}
    provider = live(rig)
    with pytest.raises(ProviderError) as raised:
        await answer(provider, Request("t1", "default", frames()))
    assert raised.value.code == "provider_unavailable"
    await provider.close()


async def test_the_only_model_is_tried_although_it_is_unhealthy() -> None:
    rig = real()
    rig.board.unhealthy = {"brain"}
    provider = live(rig)
    assert ReplyEnd() in await answer(provider, Request("t1", "default", frames()))
    assert rig.board.answers
    await provider.close()


async def test_another_session_goes_on_with_the_conversation_and_counts_on() -> None:
    rig, emit = Rig(), RecordingEmit()
    session = Session(
        lambda: PipelineProvider({"parts": rig.parts}),
        name="house",
        kind="pipeline",
        config=SessionConfig(),
        tools=ToolBox(),
        on_event=publish_to(emit),
        clock=rig.clock,
    )
    await session.connect()
    await session.send_text("hello")
    await rig.pass_time()
    before = await session.usage()
    await session.close()
    await session.connect()
    await session.send_text("again")
    await rig.pass_time()
    brain: Any = rig.parts.llm.candidates.stages[0]
    assert [line.text for line in brain.prompts[-1].messages] == ["hello", "It is noon.", "again"]
    usage = await session.usage()
    assert isinstance(usage, Usage)
    assert (usage.responses, usage.input_text_tokens) == (2, 2 * before.input_text_tokens)
    await session.close()


async def test_an_interruption_in_mid_turn_silences_all_stages_of_a_session() -> None:
    clock = FakeClock()
    ears, brain = Ears("ears", clock), Brain("brain", clock, ("One two three. ", HANG))
    rig = Rig(clock=clock, stt=[ears], llm=[brain], tts=[Voice("voice", clock)])
    emit = RecordingEmit()
    session = Session(
        lambda: PipelineProvider({"parts": rig.parts}),
        name="house",
        config=SessionConfig(),
        tools=ToolBox(),
        on_event=publish_to(emit),
        clock=clock,
    )
    await session.connect()
    await session.send_audio(QUESTION)
    await session.commit()
    await rig.pass_time()
    await session.interrupt(70.0)
    await settle()
    assert brain.gone == 1
    assert [line.text for line in session.history] == ["what time is it", "One two"]
    assert emit.types().count(E.CONVERSATION_INTERRUPTED) == 1
    assert session.is_quiet
    await session.close()


async def test_the_devices_own_voice_speaks_at_the_rate_of_the_pipeline() -> None:
    clock: Any = SystemClock()
    voice = build_synthesizer(Tts(engine="espeak"), models_dir=NOWHERE, emit=RecordingEmit(), clock=clock)
    rig = Rig(clock=clock, tts=[LocalTts(voice)])
    await rig.provider.connect()
    ear = Ear(rig.provider)
    await rig.provider.send_text("what time is it")
    stopped = await ear.until(E.AUDIO_OUTPUT_STOPPED)
    assert {event.data["sample_rate"] for event in ear.of(E.AUDIO_OUTPUT_CHUNK)} == {24_000}
    assert stopped.data["duration_ms"] > 300
    await rig.provider.disconnect()
    await voice.close()


@needs_shared
async def test_the_devices_own_ears_understand_a_recording() -> None:
    clock: Any = SystemClock()
    whisper = Whisper(model=str(WHISPER_MODEL), threads=1)
    ears = whisper_transcriber(Stt(whisper=whisper, timeout_s=60), EngineResources(NOWHERE, clock))
    stage = LocalStt(ears)
    clip = await say("turn on the light")
    heard = [each async for each in stage.transcribe(frames(clip.pcm), TranscriptionRequest())]
    assert heard[-1].final
    assert "light" in heard[-1].text.lower()
    await ears.close()
