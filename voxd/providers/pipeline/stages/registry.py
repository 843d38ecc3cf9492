"""Finds the stages of pipelines by name, each kind in a group of entry points of its own."""

from typing import Any

from voxd.providers.pipeline.stages.contract import (
    LanguageModel,
    PipelineStage,
    SpeechToText,
    StageKind,
    TextToSpeech,
)
from voxd.providers.registry import ProviderStatus, Registry

# Process-wide because the documented way to add a stage is a plain function, called before any engine.
_STT: Registry[SpeechToText] = Registry(SpeechToText, group="voxd.stt", what="speech to text")
_LLM: Registry[LanguageModel] = Registry(LanguageModel, group="voxd.llm", what="language model")
_TTS: Registry[TextToSpeech] = Registry(TextToSpeech, group="voxd.tts", what="text to speech")


def register_stage(kind: StageKind | str, name: str, cls: type[PipelineStage]) -> None:
    """Make ``cls`` known as ``name`` among the "stt", "llm" or "tts" of this process.

    Raises `ProviderError` when it is none, and `ValueError` for another ``kind``.
    """
    _registry(kind).register(name, cls)


def speech_to_text(name: str) -> type[SpeechToText]:
    """Return who listens under ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _STT.find(name)


def language_model(name: str) -> type[LanguageModel]:
    """Return who thinks under ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _LLM.find(name)


def text_to_speech(name: str) -> type[TextToSpeech]:
    """Return who speaks under ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _TTS.find(name)


def stage_class(kind: StageKind | str, name: str) -> type[PipelineStage]:
    """Return the stage ``name`` of ``kind``. Raises `NotFound`, and `ProviderError` when it is broken."""
    found: type[PipelineStage] = _registry(kind).find(name)
    return found


def kinds_of(name: str) -> tuple[StageKind, ...]:
    """Return which stages there are under ``name``."""
    return tuple(kind for kind in StageKind if name in _registry(kind))


def list_stages(kind: StageKind | str) -> list[ProviderStatus]:
    """Return every stage of ``kind``, the broken ones with their error; loads all of them."""
    return _registry(kind).statuses()


def _registry(kind: StageKind | str) -> Registry[Any]:
    registries: dict[StageKind, Registry[Any]] = {
        StageKind.STT: _STT,
        StageKind.LLM: _LLM,
        StageKind.TTS: _TTS,
    }
    return registries[StageKind(kind)]
