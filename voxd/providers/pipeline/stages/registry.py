"""Finds pipeline stages by kind and name; each kind has its own entry point group."""

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
_ALL: dict[StageKind, Registry[Any]] = {StageKind.STT: _STT, StageKind.LLM: _LLM, StageKind.TTS: _TTS}


def register_stage(kind: StageKind | str, name: str, cls: type[PipelineStage]) -> None:
    """Register ``cls`` as ``name`` for the ``kind`` "stt", "llm" or "tts", in this process.

    Raises `ProviderError` when ``cls`` is not of that kind, `ValueError` for an unknown ``kind``.
    """
    _ALL[StageKind(kind)].register(name, cls)


def speech_to_text(name: str) -> type[SpeechToText]:
    """Return the speech-to-text stage ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _STT.find(name)


def language_model(name: str) -> type[LanguageModel]:
    """Return the language model stage ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _LLM.find(name)


def text_to_speech(name: str) -> type[TextToSpeech]:
    """Return the text-to-speech stage ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _TTS.find(name)


def stage_class(kind: StageKind | str, name: str) -> type[PipelineStage]:
    """Return the stage ``name`` of ``kind``. Raises `NotFound`, and `ProviderError` when it is broken."""
    found: type[PipelineStage] = _ALL[StageKind(kind)].find(name)
    return found


def kinds_of(name: str) -> tuple[StageKind, ...]:
    """Return the kinds of stage that are registered as ``name``."""
    return tuple(kind for kind in StageKind if name in _ALL[StageKind(kind)])


def list_stages(kind: StageKind | str) -> list[ProviderStatus]:
    """Return every stage of ``kind``, broken ones with their error; this imports all of them."""
    return _ALL[StageKind(kind)].statuses()
