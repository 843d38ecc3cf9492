"""Pipelines are built from tables: of the device's configuration, and of a library's metadata."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.contract import Ear
from tests.providers.pipeline.made import BROKEN, KIND, register
from tests.providers.pipeline.stage_fakes import Board
from voxd import VoiceEngine
from voxd.config import schema
from voxd.config.provider_schema import Pipeline, Provider
from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, NotFound, ProviderError
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.local.contract import LocalTranscript
from voxd.net.http import HttpClient
from voxd.providers.pipeline.building import Ground, Pipelines, build
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.lines import Lines, line_settings, stage_config
from voxd.providers.pipeline.local_stages import LocalEngines
from voxd.providers.pipeline.metadata import build_from_metadata
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import StageKind
from voxd.providers.pipeline.stages.registry import kinds_of, list_stages, register_stage, speech_to_text
from voxd.providers.settings import SessionConfig

register()

TABLES = {
    "ears": Provider(kind=KIND),
    "brain": Provider(kind=KIND, options={"answers": ("Good day.",)}),
    "voice": Provider(kind=KIND, voice="alto"),
    "broken": Provider(kind=BROKEN),
}


class OwnEars:
    name = "own"
    prepared = False

    def prepare(self) -> None:
        self.prepared = True

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        return LocalTranscript(f"{clip.duration_s:g} s at {clip.rate_hz}", self.name)

    async def close(self) -> None:
        raise AssertionError("it is not the pipeline's")


class OwnVoice:
    name = "own"

    def prepare(self) -> None:
        pass

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        yield Clip(bytes(2 * 22_050), 22_050)

    async def close(self) -> None:
        raise AssertionError("it is not the pipeline's")


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def ground(board: Board) -> Ground:
    emit, clock = RecordingEmit(), FakeClock()
    lines = Lines(http=HttpClient(), emit=emit, clock=clock)
    return Ground(lines, board, emit, clock, Latencies(), engines=LocalEngines(OwnEars(), OwnVoice()))


def config(**pipelines: Pipeline) -> schema.Config:
    return schema.Config(providers=TABLES, pipelines=pipelines)


async def test_lists_are_made_in_order_and_the_broken_are_left_out(ground: Ground, board: Board) -> None:
    settings = Pipeline(stt=("local", "ears"), llm=("brain",), tts=("broken", "nobody", "voice", "local"))
    parts = build(ground, settings, TABLES)
    assert [stage.name for stage in parts.stt.candidates.stages] == ["local", "ears"]
    assert [stage.name for stage in parts.tts.candidates.stages] == ["voice", "local"]
    assert parts.tts.candidates.stages[0].voice == "alto"
    assert parts.stt.hedge is parts.stt.candidates.stages[0], "one engine, whoever asks it"
    assert board.failures == [("broken", "config_invalid"), ("nobody", "not_found")]


async def test_ears_that_know_a_few_sentences_are_no_hedge(ground: Ground) -> None:
    ears = replace(ground.engines, hears_anything=False)  # type: ignore[type-var]
    parts = build(replace(ground, engines=ears), Pipeline(stt=("ears",), llm=("brain",)), TABLES)
    assert parts.stt.hedge is None, "a model would be asked what nobody said"


async def test_a_list_of_which_nothing_can_be_made_is_an_error(ground: Ground) -> None:
    with pytest.raises(ConfigError, match="makes no sense"):
        build(ground, Pipeline(llm=("brain",), tts=("broken",)), TABLES)


async def test_the_device_itself_hears_and_speaks(ground: Ground) -> None:
    pipelines = Pipelines(ground, PipelineProvider)
    provider = pipelines.maker("home", config(home=Pipeline(llm=("brain",))))()
    ear = Ear(provider)
    await provider.configure_session(SessionConfig())
    await provider.connect()
    await provider.send_audio(bytes(32_000))
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    assert ear.of(E.TEXT_TRANSCRIPTION)[0].data["text"] == "1 s at 16000"
    assert ear.of(E.AUDIO_OUTPUT_STOPPED)[0].data["duration_ms"] == pytest.approx(1000, abs=1)
    await provider.disconnect()
    await pipelines.close()


async def test_sessions_share_what_was_built_until_its_tables_change(ground: Ground) -> None:
    made: list[Any] = []
    pipelines = Pipelines(ground, lambda given: made.append(given["parts"]))  # type: ignore[arg-type, return-value]
    told = config(home=Pipeline(llm=("brain",), stt=("ears",), tts=("voice",)))
    maker = pipelines.maker("home", told)
    maker()
    maker()
    assert made[0] is made[1]
    changed = schema.Config(
        providers={**TABLES, "voice": Provider(kind=KIND, voice="bass")}, pipelines=told.pipelines
    )
    pipelines.maker("home", changed)()
    assert made[2].tts.candidates.stages[0].voice == "bass"
    stage = made[0].tts.candidates.stages[0]
    assert stage.closed == 0, "a session may still speak with it"
    await pipelines.close()
    assert stage.closed == 1
    with pytest.raises(NotFound):
        pipelines.maker("nowhere", told)


async def test_a_check_asks_somebody_of_every_list(ground: Ground) -> None:
    pipelines = Pipelines(ground, PipelineProvider)
    told = config(home=Pipeline(llm=("brain",), stt=("ears",), tts=("voice", "local")))
    await pipelines.check("home", told)
    await pipelines.check("ears", told)
    parts = pipelines._parts("home", told)
    parts.tts.candidates.stages[0].checked = ProviderError("gone")  # type: ignore[attr-defined]
    await pipelines.check("home", told)
    parts.llm.candidates.stages[0].checked = ProviderError("gone")  # type: ignore[attr-defined]
    with pytest.raises(ProviderError, match="gone"):
        await pipelines.check("home", told)
    await pipelines.close()


async def test_an_agents_voice_is_that_of_the_first_who_speaks(ground: Ground) -> None:
    pipelines = Pipelines(ground, PipelineProvider)
    provider: Any = pipelines.maker("home", config(home=Pipeline(llm=("brain",), tts=("voice",))))()
    await provider.configure_session(SessionConfig(voice="tenor"))
    (stage,) = provider._tts.candidates.stages
    assert (stage.voice, stage.name) == ("tenor", "voice")
    await provider.disconnect()
    assert stage.closed == 1
    assert provider._parts.tts.candidates.stages[0].closed == 0


def test_a_table_becomes_a_line_and_what_a_stage_is_told() -> None:
    provider = Provider(
        kind="openai",
        model="m",
        voice="v",
        api_key=Secret("one"),
        api_keys=(Secret("two"),),
        endpoint="https://a.example",
        endpoints=("https://b.example",),
        headers={"x-team": Secret("red")},
        max_concurrent=2,
        options={"ca_file": "/ca.pem", "speed": 1.2},
    )
    line = line_settings("mine", provider)
    assert (line.keys, line.endpoints) == (("one", "two"), ("https://a.example", "https://b.example"))
    assert (dict(line.headers), line.max_concurrent, line.ca_file) == ({"x-team": "red"}, 2, "/ca.pem")
    told = stage_config("mine", provider)
    assert (told.name, told.kind, told.model, told.voice) == ("mine", "openai", "m", "v")
    assert told.options["speed"] == 1.2


def test_a_provider_with_a_list_of_endpoints_is_not_the_vendor_himself() -> None:
    told = stage_config("mine", Provider(kind="openai", endpoints=("http://a.lan", "http://b.lan")))
    assert told.endpoint == "http://a.lan"
    assert stage_config("theirs", Provider(kind="openai")).endpoint == ""


def test_a_key_that_cannot_be_read_is_a_wrong_key() -> None:
    missing = Secret(None, origin="credential x", problem="no such file")
    with pytest.raises(AuthenticationError):
        line_settings("mine", Provider(kind="openai", api_key=missing))


async def test_stages_of_one_provider_share_their_line(ground: Ground) -> None:
    stt, llm = (ground.lines.line("ears", TABLES["ears"], kind) for kind in (StageKind.STT, StageKind.LLM))
    assert (stt.stage, llm.stage) == ("stt", "llm")
    assert stt._keys is llm._keys
    other = ground.lines.line("ears", Provider(kind=KIND, model="other"), StageKind.STT)
    assert other._keys is not stt._keys


METADATA = {
    "stt": [{"kind": KIND, "options": {"text": "what time is it"}}],
    "llm": [{"kind": KIND, "options": {"answers": ("It is noon.",)}, "api_key": "secret"}],
    "tts": [{"kind": KIND, "name": "mine", "voice": "alto"}],
}


async def test_a_librarys_engine_talks_through_a_pipeline() -> None:
    async with VoiceEngine(provider="pipeline", metadata=METADATA, enable_transcription=True) as engine:
        done = asyncio.Event()
        engine.on_response_done = done.set
        await engine.send_recorded_audio(bytes(48_000))
        async with asyncio.timeout(5):
            await done.wait()
        assert [line.text for line in engine._connected().session.history] == [
            "what time is it",
            "It is noon.",
        ]
        assert len(await engine.text_2_audio_response("and now")) > 1000


async def test_names_are_kinds_made_unique(tmp_path: Path) -> None:
    told = {**METADATA, "models_dir": str(tmp_path), "tts": [*METADATA["tts"], {"kind": "local"}]}
    parts = build_from_metadata({"metadata": told, "clock": FakeClock()}, RecordingEmit())
    names = [[s.name for s in chain.candidates.stages] for chain in (parts.stt, parts.llm, parts.tts)]
    assert names == [[KIND], [f"{KIND}_2"], ["mine", "local"]]
    assert parts.tts.candidates.stages[0].voice == "alto"
    assert parts.stt.hedge is not None, "this machine can listen too"
    await parts.close()


@pytest.mark.parametrize(
    "metadata",
    [
        {"stt": [{"kind": KIND, "colour": "red"}], "llm": [], "tts": []},
        {"tempo": 3},
        {**METADATA, "cache_answers_s": -1},
        {**METADATA, "history": "forget"},
        {"llm": "openai"},
    ],
)
def test_metadata_that_makes_no_sense_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PipelineProvider({"metadata": metadata})


@pytest.mark.parametrize(
    ("metadata", "message", "hint"),
    [
        (
            {**METADATA, "llm": [{"kind": KIND, "modell": "x"}]},
            'metadata["llm"][0] has no "modell"',
            'did you mean "model"?',
        ),
        ({**METADATA, "ltm": []}, 'metadata has no "ltm"', 'did you mean "llm"?'),
        (
            {**METADATA, "tts": []},
            'metadata names nobody who speaks: "tts" is missing or empty',
            'add "tts": [{"kind": ..., "api_key": ...}] to it',
        ),
    ],
)
def test_a_slip_in_the_metadata_is_told_with_its_place_and_a_way_out(
    metadata: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        PipelineProvider({"metadata": metadata})
    assert (str(raised.value), raised.value.hint) == (message, hint)


def test_stages_are_found_through_the_plug_in_door() -> None:
    names = {status.name for status in list_stages("llm") if status.source == "voxd" and status.enabled}
    assert {"anthropic", "openai", "ollama"} <= names
    assert speech_to_text("deepgram").stage is StageKind.STT
    assert set(kinds_of("openai")) == {StageKind.STT, StageKind.LLM, StageKind.TTS}
    assert kinds_of("nobody") == ()
    with pytest.raises(ProviderError, match="no subclass of LanguageModel"):
        register_stage("llm", "x", speech_to_text("deepgram"))
