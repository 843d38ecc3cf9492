"""The pipelines of the device: loaded with the first one, shared by their sessions, checked at no cost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.contract import Ear
from tests.providers.pipeline.made import KIND, register
from tests.servers.plain_http import plain_http, reply
from voxd.config import provider_schema, schema
from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, NotFound, ProviderError
from voxd.events import Event
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.local.contract import LocalTranscript
from voxd.net.dns import Resolver
from voxd.providers.dependencies import Dependencies
from voxd.providers.pipeline import middleware as middleware_module
from voxd.providers.pipeline.factory import Availability, PipelineFactory
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import Completion, TextChunk
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Usage

WAIT_S = 5.0

CONFIG = schema.Config(
    providers={"brain": provider_schema.ProviderConfig(kind=KIND, usd_per_day=1.0)},
    pipelines={"pipe": provider_schema.Pipeline(llm=("brain",), hedge=False)},
)


TABLES = {
    "ears": provider_schema.ProviderConfig(kind=KIND),
    "brain": provider_schema.ProviderConfig(kind=KIND, options={"answers": ("Good day.",)}),
    "voice": provider_schema.ProviderConfig(kind=KIND, voice="alto"),
}


def config(**pipelines: provider_schema.Pipeline) -> schema.Config:
    return schema.Config(providers=TABLES, pipelines=pipelines)


class OwnEars:
    name = "own"

    def status(self) -> Any:
        return SimpleNamespace(active="own")

    def prepare(self) -> None:
        """Always ready."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        return LocalTranscript(f"{clip.duration_s:g} s at {clip.rate_hz}", self.name)


class OwnVoice:
    name = "own"

    def prepare(self) -> None:
        """Always ready."""

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        yield Clip(b"\1\0" * 22_050, 22_050)


class Rig:
    def __init__(self, state_dir: Path) -> None:
        self.emit, self.clock = RecordingEmit(), FakeClock()
        self.health = CircuitBreaker(emit=self.emit, clock=self.clock)
        self.spend = SpendGuard(CONFIG, emit=self.emit, clock=self.clock)
        ears = OwnEars()
        self.pipelines = PipelineFactory(
            Dependencies(
                local=cast(Any, None),
                transcriber=cast(Any, ears),
                synthesizer=cast(Any, OwnVoice()),
                tools=list,
                health=self.health,
                spend=self.spend,
                resolver=Resolver(),
                emit=self.emit,
                clock=self.clock,
                phrases_dir=state_dir / "phrases",
                phrases_bytes=1 << 20,
            )
        )


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    register()
    rig = Rig(tmp_path)
    yield rig
    await rig.pipelines.close()
    await rig.health.close()
    await rig.spend.close()


async def test_a_pipeline_is_built_of_what_the_configuration_names(rig: Rig) -> None:
    made = rig.pipelines.create("pipe", CONFIG)
    assert isinstance(made, PipelineProvider)
    await rig.pipelines.check("pipe", CONFIG)
    await rig.pipelines.check("brain", CONFIG)
    rig.pipelines.load(CONFIG)
    await rig.pipelines.forget()


async def test_cached_answers_are_forgotten_too(rig: Rig) -> None:
    pipeline = provider_schema.Pipeline(llm=("brain",), hedge=False, cache_answers_s=60.0)
    config = schema.Config(providers=CONFIG.providers, pipelines={"pipe": pipeline})
    made = rig.pipelines.create("pipe", config)
    assert isinstance(made, PipelineProvider)
    answers = made._parts.answers
    assert answers is not None
    for text in ("A secret.", "Forgotten."):
        settings = [item async for item in answers.fetch("key", thoughts(text))]
        assert settings[0] == TextChunk(text)
        await rig.pipelines.forget()


async def thoughts(text: str) -> AsyncGenerator[AnswerEvent]:
    yield TextChunk(text)
    yield AnswerEnd(Completion("stop"), "scripted")


async def test_a_refused_key_is_not_tried_again_before_a_reset(rig: Rig) -> None:
    wrong = reply(b'{"error": {"code": "invalid_api_key"}}', status=401, content_type="application/json")
    right = reply(b'{"object": "list", "data": []}', content_type="application/json")
    async with asyncio.timeout(WAIT_S), plain_http(wrong) as server:
        thinker = provider_schema.ProviderConfig(
            kind="openai", endpoint=f"{server.url}/v1", api_key=Secret("k" * 20)
        )
        config = schema.Config(
            providers={"thinker": thinker},
            pipelines={"pipe": provider_schema.Pipeline(llm=("thinker",), hedge=False)},
        )
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await rig.pipelines.check("pipe", config)
        assert len(server.requests) == 1
        server.script(right)
        rig.pipelines.reset("thinker")
        await rig.pipelines.check("pipe", config)
        assert len(server.requests) == 2


async def test_missing_middleware_is_an_error_of_the_pipeline(rig: Rig) -> None:
    config = schema.Config(
        providers=CONFIG.providers,
        pipelines=CONFIG.pipelines,
        middleware=schema.Middleware(message=("unheard_of",)),
    )
    with pytest.raises(NotFound, match="unheard_of"):
        rig.pipelines.create("pipe", config)
    assert rig.pipelines.create("pipe", CONFIG), "without it the pipeline is built"


async def test_middleware_that_cannot_be_loaded_is_a_config_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", "no_such_module:thing", "voxd.middleware")
    monkeypatch.setattr(middleware_module, "entry_points", lambda **group: (broken,))
    middleware = schema.Middleware(message=("broken",))
    config = schema.Config(providers=CONFIG.providers, pipelines=CONFIG.pipelines, middleware=middleware)
    with pytest.raises(ConfigError, match="no_such_module") as raised:
        rig.pipelines.create("pipe", config)
    assert "broken" in raised.value.hint


async def test_an_unhealthy_or_stopped_provider_is_not_available(rig: Rig) -> None:
    able = Availability(rig.health, rig.spend)
    able.record_failure("brain", ConnectionFailed("refused"))
    assert (able.is_healthy("brain"), able.can_try("brain")) == (False, True)
    able.record_success("brain")
    assert able.is_healthy("brain")
    data = {"provider": "brain", "stage": "llm", "key": 1, "usage": Usage(), "cost_usd": 1.0}
    rig.spend.handle(Event(1, "provider.used", 0.0, None, data))
    assert (able.is_healthy("brain"), able.can_try("brain")) == (False, False)


def test_a_device_without_pipelines_does_not_import_them() -> None:
    program = "import sys, voxd.daemon; sys.exit('voxd.providers.pipeline.factory' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


async def test_the_local_engines_can_be_stages(rig: Rig) -> None:
    pipelines = rig.pipelines
    provider = pipelines.create("home", config(home=provider_schema.Pipeline(llm=("brain",))))
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


async def test_sessions_share_what_was_built_until_its_tables_change(rig: Rig) -> None:
    pipelines = rig.pipelines
    settings = config(home=provider_schema.Pipeline(llm=("brain",), stt=("ears",), tts=("voice",)))
    made = [pipelines.create("home", settings)._parts for _ in range(2)]
    assert made[0] is made[1]
    changed = schema.Config(
        providers={**TABLES, "voice": provider_schema.ProviderConfig(kind=KIND, voice="bass")},
        pipelines=settings.pipelines,
    )
    again = pipelines.create("home", changed)._parts
    assert cast(Any, again.tts.candidates.stages[0]).voice == "bass"
    stage = cast(Any, made[0].tts.candidates.stages[0])
    assert stage.closed == 0, "a session may still speak with it"
    await pipelines.close()
    assert stage.closed == 1
    with pytest.raises(NotFound):
        pipelines.create("nowhere", settings)


async def test_a_check_needs_one_stage_of_each_list(rig: Rig) -> None:
    pipelines = rig.pipelines
    settings = config(home=provider_schema.Pipeline(llm=("brain",), stt=("ears",), tts=("voice", "local")))
    await pipelines.check("home", settings)
    await pipelines.check("ears", settings)
    parts = pipelines._parts("home", settings)
    parts.tts.candidates.stages[0].checked = ProviderError("gone")  # type: ignore[attr-defined]
    await pipelines.check("home", settings)
    parts.llm.candidates.stages[0].checked = ProviderError("gone")  # type: ignore[attr-defined]
    with pytest.raises(ProviderError, match="gone"):
        await pipelines.check("home", settings)
    await pipelines.close()


async def test_the_voice_of_an_agent_is_that_of_the_first_tts_stage(rig: Rig) -> None:
    pipelines = rig.pipelines
    provider: Any = pipelines.create(
        "home", config(home=provider_schema.Pipeline(llm=("brain",), tts=("voice",)))
    )
    await provider.configure_session(SessionConfig(voice="tenor"))
    (stage,) = provider._tts.candidates.stages
    assert (stage.voice, stage.name) == ("tenor", "voice")
    await provider.disconnect()
    assert stage.closed == 1
    assert provider._parts.tts.candidates.stages[0].closed == 0
