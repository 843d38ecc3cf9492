"""What errors look like to the programmer who made the mistake."""

import traceback
from typing import Any

import pytest

from tests.engine.conftest import Make
from voxd import (
    AuthenticationError,
    ConfigError,
    ConnectionError,
    InvalidRequest,
    SessionConfig,
    VoiceEngine,
    VoiceEngineConfig,
)


async def refused(make: Make) -> BaseException:
    engine, _ = make(provider="openai", api_key="sk-x", metadata={"endpoint": "ws://127.0.0.1:9"})
    with pytest.raises(ConnectionError) as caught:
        await engine.connect(retry_count=1)
    return caught.value


async def test_a_network_failure_has_a_short_traceback(make: Make) -> None:
    error = await refused(make)
    frames = [
        frame
        for each in (error, error.__cause__)
        if each
        for frame in traceback.extract_tb(each.__traceback__)
    ]
    # The caller's own, and the method's.
    assert len(frames) <= 3
    shown = "".join(traceback.format_exception(error))
    assert "hint: " in shown
    assert "During handling" not in shown
    assert len(shown.splitlines()) < 14


async def test_a_missing_key_names_the_variable_and_the_mock(make: Make) -> None:
    engine, _ = make(provider="openai")
    with pytest.raises(AuthenticationError) as caught:
        await engine.connect()
    shown = "".join(traceback.format_exception(caught.value))
    assert "OPENAI_API_KEY" in shown
    assert 'provider="mock"' in shown


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("vioce", "voice"),
        ("sample_rat", "sample_rate"),
        ("apikey", "api_key"),
        ("Voice", "voice"),
        ("tool", "tools"),
        ("instructions", "SessionConfig(instructions="),
        ("model", 'metadata={"model": …}'),
        ("qqq", "use one of api_key"),
    ],
)
def test_a_misspelt_argument_is_guessed(wrong: str, meant: str) -> None:
    makers: list[Any] = [VoiceEngine] if wrong == "tool" else [VoiceEngine, VoiceEngineConfig]
    for make in makers:
        with pytest.raises(TypeError, match=wrong) as caught:
            make(**{wrong: "x"})
        assert isinstance(caught.value, ConfigError)
        assert meant in caught.value.hint
        assert meant in caught.value.__notes__[0]


def test_a_misspelt_field_of_a_session_is_guessed() -> None:
    with pytest.raises(TypeError, match="tempreture") as caught:
        SessionConfig(tempreture=0.8)  # type: ignore[call-arg]
    assert caught.value.__notes__ == ['hint: did you mean "temperature"?']


async def test_a_misspelt_argument_of_a_method_is_guessed(make: Make) -> None:
    engine, _ = make()
    with pytest.raises(TypeError, match="timout") as caught:
        await engine.ask("Hello", timout=3)  # type: ignore[call-arg]
    assert caught.value.__notes__ == ['hint: did you mean "timeout"?']


async def test_what_is_no_text_is_refused_before_the_provider(make: Make) -> None:
    engine, _ = make()
    await engine.connect()
    for send in (engine.send_text, engine.ask, engine.text_2_audio_response):
        with pytest.raises(InvalidRequest, match="text must be str, not int"):
            await send(5)  # type: ignore[arg-type,operator]


async def test_a_session_may_be_a_dictionary(make: Make) -> None:
    engine, _ = make()
    await engine.configure_session({"instructions": "Be brief."})
    await engine.connect()
    assert engine.config.session is not None
    assert engine.config.session.instructions == "Be brief."
