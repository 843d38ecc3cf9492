"""Scripted stages that can be named in a configuration: one kind each, with a transport that is not used."""

from typing import Any

from tests.providers.pipeline.stage_fakes import Brain, Ears, Voice
from voxd.clock import SystemClock
from voxd.errors import ConfigError
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.registry import register_stage

KIND = "scripted_by_tests"
BROKEN = "broken_by_tests"


def _adopt(stage: Any, config: StageConfig, transport: Any) -> None:
    stage.config, stage.transport = config, transport


class MadeEars(Ears):
    def __init__(self, config: StageConfig, transport: Any) -> None:
        super().__init__(config.name, SystemClock(), config.options.get("text", "hello"))
        _adopt(self, config, transport)


class MadeBrain(Brain):
    def __init__(self, config: StageConfig, transport: Any) -> None:
        super().__init__(config.name, SystemClock(), *config.options.get("answers", ("It is noon.",)))
        _adopt(self, config, transport)


class MadeVoice(Voice):
    def __init__(self, config: StageConfig, transport: Any) -> None:
        super().__init__(config.name, SystemClock())
        _adopt(self, config, transport)


class BrokenVoice(MadeVoice):
    def __init__(self, config: StageConfig, transport: Any) -> None:
        raise ConfigError("an option makes no sense")


def register() -> None:
    """Make them known in this process."""
    register_stage("stt", KIND, MadeEars)
    register_stage("llm", KIND, MadeBrain)
    register_stage("tts", KIND, MadeVoice)
    register_stage("tts", BROKEN, BrokenVoice)
