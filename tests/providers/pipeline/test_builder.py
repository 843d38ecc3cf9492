"""Pipelines are built from tables: of the device's configuration, and of a library's metadata."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.pipeline.made import BROKEN, KIND, register
from tests.providers.pipeline.stage_fakes import Board
from voxd import VoiceEngine
from voxd.config.provider_schema import Pipeline, ProviderConfig
from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ProviderError
from voxd.frames import Clip
from voxd.local.contract import LocalTranscript
from voxd.net.http import HttpClient
from voxd.providers.pipeline.builder import PipelineBuilder, client_settings, stage_config
from voxd.providers.pipeline.local_stages import LocalEngines
from voxd.providers.pipeline.metadata import build_from_metadata
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import StageKind
from voxd.providers.pipeline.stages.registry import kinds_of, list_stages, register_stage, speech_to_text

register()

TABLES = {
    "ears": ProviderConfig(kind=KIND),
    "brain": ProviderConfig(kind=KIND, options={"answers": ("Good day.",)}),
    "voice": ProviderConfig(kind=KIND, voice="alto"),
    "broken": ProviderConfig(kind=BROKEN),
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
def builder(board: Board) -> PipelineBuilder:
    engines = LocalEngines(OwnEars(), OwnVoice())
    return PipelineBuilder(HttpClient(), board, RecordingEmit(), FakeClock(), engines=engines)


async def test_lists_are_built_in_order_without_broken_stages(builder: PipelineBuilder, board: Board) -> None:
    settings = Pipeline(stt=("local", "ears"), llm=("brain",), tts=("broken", "unknown", "voice", "local"))
    parts = builder.build(settings, TABLES)
    assert [stage.name for stage in parts.stt.candidates.stages] == ["local", "ears"]
    assert [stage.name for stage in parts.tts.candidates.stages] == ["voice", "local"]
    assert parts.tts.candidates.stages[0].voice == "alto"
    assert parts.stt.hedge is parts.stt.candidates.stages[0], "one engine for both uses"
    assert board.failures == [("broken", "config_invalid"), ("unknown", "not_found")]


async def test_an_engine_bound_to_a_grammar_is_not_a_hedge(builder: PipelineBuilder) -> None:
    ears = replace(builder.engines, is_open_vocabulary=False)  # type: ignore[type-var]
    parts = replace(builder, engines=ears).build(Pipeline(stt=("ears",), llm=("brain",)), TABLES)
    assert parts.stt.hedge is None, "the model would get a question that was never asked"


async def test_a_list_without_a_stage_that_can_be_built_is_an_error(builder: PipelineBuilder) -> None:
    with pytest.raises(ConfigError, match="makes no sense"):
        builder.build(Pipeline(llm=("brain",), tts=("broken",)), TABLES)


def test_a_table_becomes_the_settings_of_a_client_and_of_a_stage() -> None:
    provider = ProviderConfig(
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
    line = client_settings("mine", provider)
    assert (line.keys, line.endpoints) == (("one", "two"), ("https://a.example", "https://b.example"))
    assert (dict(line.headers), line.max_concurrent, line.ca_file) == ({"x-team": "red"}, 2, "/ca.pem")
    told = stage_config("mine", provider)
    assert (told.name, told.kind, told.model, told.voice) == ("mine", "openai", "m", "v")
    assert told.options["speed"] == 1.2


def test_a_list_of_endpoints_replaces_the_vendors_own() -> None:
    told = stage_config("mine", ProviderConfig(kind="openai", endpoints=("http://a.lan", "http://b.lan")))
    assert told.endpoint == "http://a.lan"
    assert stage_config("theirs", ProviderConfig(kind="openai")).endpoint == ""


def test_a_key_that_cannot_be_read_is_a_wrong_key() -> None:
    missing = Secret(None, origin="credential x", problem="no such file")
    with pytest.raises(AuthenticationError):
        client_settings("mine", ProviderConfig(kind="openai", api_key=missing))


async def test_stages_of_one_provider_share_a_client(builder: PipelineBuilder) -> None:
    stt, llm = (builder.client("ears", TABLES["ears"], kind) for kind in (StageKind.STT, StageKind.LLM))
    assert (stt.stage, llm.stage) == ("stt", "llm")
    assert stt._keys is llm._keys
    other = builder.client("ears", ProviderConfig(kind=KIND, model="other"), StageKind.STT)
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
        assert len((await engine.ask("and now")).audio) > 1000
        assert len(await engine.text_2_audio_response("Dinner is ready.")) > 1000
        assert engine.history[-1].text == "Dinner is ready."


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
            'metadata lists no text-to-speech provider: "tts" is missing or empty',
            'add "tts": [{"kind": ..., "api_key": ...}] to it',
        ),
    ],
)
def test_a_mistake_in_the_metadata_is_reported_with_its_place_and_a_hint(
    metadata: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        PipelineProvider({"metadata": metadata})
    assert (str(raised.value), raised.value.hint) == (message, hint)


def test_stages_are_found_through_the_plug_in_door() -> None:
    names = {
        status.name for status in list_stages("llm") if status.source == "voxd-appliance" and status.enabled
    }
    assert {"anthropic", "openai", "ollama"} <= names
    assert speech_to_text("deepgram").stage is StageKind.STT
    assert set(kinds_of("openai")) == {StageKind.STT, StageKind.LLM, StageKind.TTS}
    assert kinds_of("unknown") == ()
    with pytest.raises(ProviderError, match="not a subclass of LanguageModel"):
        register_stage("llm", "x", speech_to_text("deepgram"))
