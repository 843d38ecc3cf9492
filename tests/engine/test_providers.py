"""Another provider in mid-conversation: asked for, or because the first one failed."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tests.engine.conftest import PATIENCE_S, Make
from tests.engine.sounds import tone
from tests.fakes import FakeClock
from voxd import (
    Capabilities,
    NotConnected,
    ProviderError,
    SessionConfig,
    VoiceEngineConfig,
    register_provider,
)
from voxd.errors import AuthenticationError, ConfigError
from voxd.providers.vendors.mock.realtime import MockProvider


class Other(MockProvider):
    """A vendor at another rate, without turn detection."""

    capabilities: ClassVar[Capabilities] = Capabilities(input_rate_hz=16_000, output_rate_hz=24_000)
    made: ClassVar[list["Other"]] = []

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.sent = b""
        Other.made.append(self)

    async def send_audio(self, audio_data: bytes) -> None:
        self.sent += audio_data
        await super().send_audio(audio_data)


@pytest.fixture(autouse=True)
def other() -> Iterator[None]:
    register_provider("other", Other)
    Other.made.clear()
    yield
    Other.made.clear()


async def test_switching_keeps_the_conversation(make: Make) -> None:
    engine, log = make(metadata={"replies": {"hello": "Hi there!"}})
    await engine.connect()
    await engine.ask("hello")
    await engine.switch_provider("other")
    assert engine.config.provider == "other"
    changed = log.of("provider.changed")[0]
    assert (changed.data["from"], changed.to, changed.reason) == ("mock", "other", "requested")
    assert Other.made[0].history == [("user", "hello"), ("assistant", "Hi there!")]
    assert await engine.ask("and now")
    assert len(engine.history) == 4


@pytest.mark.parametrize(
    "config",
    [
        {"metadata": {"default_reply": "It is me."}},
        VoiceEngineConfig(provider="other", metadata={"default_reply": "It is me."}),
        VoiceEngineConfig(provider="mock", metadata={"default_reply": "It is me."}),
    ],
)
async def test_a_switch_takes_a_configuration_or_the_fields_that_differ(make: Make, config: Any) -> None:
    engine, log = make()
    await engine.connect()
    await engine.switch_provider("other", config)
    await engine.ask("who is it")
    assert log.of("text.output")[-1].text == "It is me."


async def test_a_switch_before_connecting_connects(make: Make) -> None:
    engine, log = make()
    await engine.switch_provider("other")
    assert engine.is_connected
    await engine.connect()
    assert [event.provider for event in log.of("connection.established")] == ["other"]
    assert (await engine.ask("hello")).audio


async def test_a_switch_after_a_failed_connect_connects_to_the_other(make: Make) -> None:
    engine, _ = make(metadata={"connect_fault": "rate_limited"}, clock=FakeClock())
    with pytest.raises(ProviderError) as caught:
        await engine.connect(retry_count=1)
    assert caught.value.provider == "mock"
    assert caught.value.code == "rate_limit"
    await engine.switch_provider("other")
    assert engine.is_connected


async def test_a_failed_switch_before_connecting_changes_nothing(make: Make) -> None:
    engine, _ = make()
    with pytest.raises(AuthenticationError):
        await engine.switch_provider("openai")
    assert not engine.is_connected
    assert engine.config.provider == "mock"
    await engine.connect()


async def test_a_switch_after_a_loss_connects(make: Make) -> None:
    engine, log = make(metadata={"drop_after": 9}, clock=FakeClock())
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("connection.lost")
    await engine.switch_provider("other")
    assert engine.is_connected


SPANISH = SessionConfig(instructions="Speak Spanish.")


@pytest.mark.parametrize("before", [{"metadata": {"instructions": "Speak Spanish."}}, {"session": SPANISH}])
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize(
    ("config", "instructions"),
    [
        (None, "Speak Spanish."),
        ({"voice": "echo"}, "Speak Spanish."),
        (VoiceEngineConfig(provider="mock"), "Speak Spanish."),
        ({"session": SessionConfig(instructions="Speak French.")}, "Speak French."),
        (VoiceEngineConfig(provider="mock", session=SessionConfig(instructions="Be quick.")), "Be quick."),
        (VoiceEngineConfig(provider="mock", metadata={"instructions": "Be quick."}), "Be quick."),
    ],
)
async def test_a_switch_keeps_the_instructions_unless_it_has_its_own(
    make: Make, before: dict[str, Any], connected: bool, config: Any, instructions: str
) -> None:
    engine, _ = make(**before)
    if connected:
        await engine.connect()
    await engine.switch_provider("other", config)
    assert Other.made[0].session.instructions == instructions


async def test_a_failed_switch_leaves_the_conversation_unchanged(make: Make) -> None:
    engine, _ = make()
    await engine.connect()
    with pytest.raises(AuthenticationError):
        await engine.switch_provider("openai")
    with pytest.raises(ProviderError):
        await engine.switch_provider("other", {"metadata": {"connect_fault": "refused"}})
    assert engine.config.provider == "mock"
    assert await engine.ask("hello")


async def test_disconnecting_cancels_a_switch_at_once(make: Make) -> None:
    engine, _ = make()
    await engine.connect()
    switching = asyncio.create_task(engine.switch_provider("other", {"metadata": {"connect_delay_s": 60}}))
    while not Other.made:
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await engine.disconnect()
        with pytest.raises(NotConnected):
            await switching
    assert engine.config.provider == "mock"
    assert not engine.is_connected


async def test_a_switch_cuts_a_reply_in_progress(make: Make) -> None:
    engine, log = make(metadata={"chunk_delay_s": 60})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("audio.output_chunk")
    await engine.switch_provider("other")
    assert "conversation.interrupted" in log.types()
    assert engine.is_connected


async def test_audio_is_converted_to_the_rate_of_the_provider_in_use(make: Make) -> None:
    engine, _ = make(vad_enabled=False)
    await engine.connect()
    await engine.switch_provider("other")
    await engine.send_audio(tone(1000))
    await engine.commit()
    assert len(Other.made[0].sent) == pytest.approx(32_000, abs=100)


async def test_a_switch_keeps_the_callers_rate(make: Make) -> None:
    engine, log = make(sample_rate=16_000)
    await engine.connect()
    await engine.switch_provider("other", VoiceEngineConfig(provider="other", sample_rate=48_000))
    await engine.ask("hello")
    assert {event.sample_rate for event in log.of("audio.output_chunk")} == {16_000}


async def test_without_server_vad_the_client_vad_is_used(make: Make) -> None:
    engine, log = make(vad_type="server")
    await engine.connect()
    await engine.switch_provider("other")
    await engine.send_audio(tone(400) + bytes(48_000))
    await log.wait("response.completed")
    assert [event.speaking for event in log.of("conversation.turn_detected")] == [True, False]


async def test_the_next_provider_answers_when_the_first_is_unavailable(make: Make) -> None:
    failover = ["nobody", {"provider": "other", "metadata": {"default_reply": "It is me."}}]
    engine, log = make(
        enable_multi_provider=True, metadata={"connect_fault": "invalid_api_key", "failover": failover}
    )
    await engine.connect()
    await engine.ask("hello")
    assert log.of("text.output")[-1].text == "It is me."
    assert [event.provider for event in log.of("provider.failed")] == ["mock", "nobody"]
    assert log.of("provider.failed")[0].code == "invalid_api_key"
    assert [event.to for event in log.of("provider.changed")] == ["nobody", "other"]


async def test_without_an_available_provider_the_last_error_is_raised(make: Make) -> None:
    failover = [{"provider": "other", "metadata": {"connect_fault": "invalid_api_key"}}]
    engine, _ = make(
        enable_multi_provider=True, metadata={"connect_fault": "invalid_api_key", "failover": failover}
    )
    with pytest.raises(AuthenticationError):
        await engine.connect()
    assert not engine.is_connected


async def test_without_multi_provider_there_is_no_failover(make: Make) -> None:
    engine, log = make(metadata={"connect_fault": "invalid_api_key", "failover": ["other"]})
    with pytest.raises(AuthenticationError):
        await engine.connect()
    assert Other.made == []
    assert "provider.failed" not in log.types()


async def test_a_lost_session_fails_over_with_its_conversation(make: Make) -> None:
    class Dying(MockProvider):
        openings = 0

        async def connect(self) -> None:
            Dying.openings += 1
            if Dying.openings > 1:
                raise OSError("the network is down")
            await super().connect()

    register_provider("dying", Dying)
    clock = FakeClock()
    engine, log = make(
        provider="dying",
        enable_multi_provider=True,
        metadata={"replies": {"hello": "Hi there!"}, "drop_after": 9, "failover": ["other"]},
        clock=clock,
    )
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("connection.lost")
    await clock.advance(60)
    await log.wait("connection.established", 2)
    assert [event.provider for event in log.of("provider.failed")] == ["dying"]
    assert log.of("provider.changed")[0].to == "other"
    assert Other.made[0].history[0] == ("user", "hello")
    assert await engine.ask("are you there")
    assert engine.config.provider == "other"
    await engine.configure_session(SessionConfig(instructions="Be brief."))
    assert (engine.config.provider, engine.config.session) == (
        "other",
        SessionConfig(instructions="Be brief."),
    )


async def test_a_session_can_be_reconfigured(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    await engine.configure_session(SessionConfig(modalities=("text",)))
    await engine.send_text("hello")
    await log.wait("response.completed")
    assert "audio.output_chunk" not in log.types()
    assert engine.config.session == SessionConfig(modalities=("text",))


async def test_a_wrong_switch_is_an_error_that_names_the_field(make: Make) -> None:
    engine, _ = make()
    with pytest.raises(ConfigError, match="vioce"):
        await engine.switch_provider("other", {"vioce": "echo"})
