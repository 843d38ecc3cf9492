"""Providers with the reference text's contract: six methods, and whatever else a class leaves out."""

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from tests.engine.conftest import Make, make
from tests.providers.deaf import DeafProvider
from voxd import BaseProvider, ConnectionError, EventType, ProviderError, RateLimited, register_provider
from voxd.providers import adapter
from voxd.providers.adapter import ProviderAdapter, ResponseBounds, adapt, cost_of, usage_of
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStopped,
    ErrorOccurred,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
)
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.mock.realtime import MockProvider

__all__ = ["make"]

PCM = b"\x00\x10\x00\xf0" * 1200


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STOPPED_S", "AUDIO_S", "TEXT_S"):
        monkeypatch.setattr(adapter, name, 0.01)


class Connection:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class Six(BaseProvider):
    """The six methods, as the reference text prints them."""

    made: ClassVar[list["Six"]] = []

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.calls: list[Any] = []
        self.link = Connection()
        self.made.append(self)

    async def connect(self) -> None:
        self.connection = self.link
        self.calls.append("connect")
        self.emit_event(EventType.CONNECTION_ESTABLISHED, {"provider": "six", "region": "eastus"})

    async def disconnect(self) -> None:
        self.calls.append("disconnect")
        await self.connection.close()

    async def send_audio(self, audio_data: bytes) -> None:
        self.calls.append(len(audio_data))

    async def send_text(self, text: str) -> None:
        self.emit_event(EventType.TEXT_OUTPUT, {"text": f"You said {text}.", "is_partial": False})
        self.emit_event(EventType.AUDIO_OUTPUT_CHUNK, {"audio_data": PCM, "sample_rate": 24000})

    async def interrupt(self) -> None:  # type: ignore[override]
        self.calls.append("interrupt")

    async def configure_session(self, config: dict[str, Any]) -> None:  # type: ignore[override]
        self.calls.append(config)

    async def get_usage(self) -> dict[str, Any]:  # type: ignore[override]
        return {"audio_seconds": 2.0, "text_tokens": 7, "words": 3}

    async def estimate_cost(self) -> float:  # type: ignore[override]
        return 0.25


class Synchronous(BaseProvider):
    """Methods that are plain functions, and a state that is assigned."""

    def connect(self) -> None:  # type: ignore[override]
        self.is_connected = True  # type: ignore[misc]

    def disconnect(self) -> None:  # type: ignore[override]
        self.is_connected = False  # type: ignore[misc]

    def send_audio(self, audio_data: bytes) -> None:  # type: ignore[override]
        pass

    def send_text(self, text: str) -> None:  # type: ignore[override]
        self.emit_event("TEXT_OUTPUT", {"text": text})
        self.emit_event("AUDIO_OUTPUT_STARTED")
        self.emit_event("AUDIO_OUTPUT_CHUNK", {"audio_data": PCM})
        self.emit_event("AUDIO_OUTPUT_STOPPED")

    def interrupt(self) -> None:  # type: ignore[override]
        pass

    def configure_session(self, config: Mapping[str, Any]) -> None:  # type: ignore[override]
        self.instructions = config.get("instructions")

    def get_usage(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {"inputTokens": 3, "outputTokens": 4}

    def estimate_cost(self) -> int:  # type: ignore[override]
        return 1


class Four(DeafProvider):
    """The four methods of the interface document."""

    async def send_text(self, text: str) -> None:
        self.emit_event(EventType.AUDIO_OUTPUT_CHUNK, {"audio_data": PCM})


class Threaded(Synchronous):
    """Answers from a thread of its own."""

    def send_text(self, text: str) -> None:  # type: ignore[override]
        answer = super().send_text
        threading.Thread(target=lambda: answer(text)).start()


class Complete(Six):
    """Reports its responses itself."""

    async def send_text(self, text: str) -> None:
        self.emit_event(EventType.RESPONSE_STARTED, {})
        await super().send_text(text)
        self.emit_event(EventType.RESPONSE_COMPLETED)


CLASSES = [Six, Synchronous, Four, Threaded, Complete]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    for cls in CLASSES:
        register_provider(cls.__name__.lower(), cls)
    Six.made.clear()
    yield
    Six.made.clear()


@pytest.mark.parametrize("cls", CLASSES)
async def test_each_form_of_the_contract_holds_a_conversation(make: Make, cls: type[BaseProvider]) -> None:
    engine, log = make(provider=cls.__name__.lower(), voice="nova")
    await engine.connect()
    assert engine.is_connected
    for _ in range(2):
        assert await engine.text_2_audio_response("hello") == PCM
    await engine.send_audio(bytes(480))
    await engine.send_text("hello")
    await log.wait("response.completed", 3)
    await engine.interrupt()
    await engine.disconnect()
    assert not engine.is_connected
    kinds = [kind for kind in log.types() if kind.startswith(("response", "audio.output"))]
    one = [
        "response.started",
        "audio.output_started",
        "audio.output_chunk",
        "audio.output_stopped",
        "response.completed",
    ]
    assert kinds == one * 3


async def test_the_seeds_class_gets_what_it_expects(make: Make) -> None:
    engine, _ = make(
        provider="six", metadata={"endpoint": "wss://x", "instructions": "Be brief."}, language="es"
    )
    await engine.connect()
    made = Six.made[-1]
    connect, settings = made.calls
    assert connect == "connect"
    assert isinstance(settings, dict)
    assert (settings["instructions"], settings.get("language"), settings.get("temperature", 7)) == (
        "Be brief.",
        "es",
        7,
    )
    assert (settings.instructions, settings.temperature) == ("Be brief.", None)  # type: ignore[attr-defined]
    assert json.loads(json.dumps(settings)) == copy.deepcopy(settings) == settings
    assert made.config["metadata"]["endpoint"] == "wss://x"
    assert (made.config["instructions"], made.config["sample_rate"]) == ("Be brief.", 24_000)
    await engine.interrupt(12.0)
    assert made.calls[-1] == "interrupt"
    usage = await engine.get_usage()
    assert usage.text_tokens == 7
    assert (await engine.estimate_cost()).total == 0.25
    await engine.disconnect()
    assert made.link.closed >= 1
    assert (await engine.estimate_cost()).total == 0.25


async def test_a_class_that_fails_to_disconnect_leaks_no_connection(make: Make) -> None:
    class Failing(Six):
        async def disconnect(self) -> None:
            raise AttributeError("'Failing' object has no attribute 'socket'")

    register_provider("failing", Failing)
    engine, _ = make(provider="failing")
    await engine.connect()
    await engine.disconnect()
    assert Six.made[-1].link.closed == 1


async def test_a_failed_connect_can_be_disconnected(make: Make) -> None:
    class Refused(Six):
        async def connect(self) -> None:
            raise OSError("refused")

    register_provider("refused", Refused)
    engine, _ = make(provider="refused")
    with pytest.raises(ConnectionError):
        await engine.connect(retry_count=1)


async def test_it_can_be_used_alone() -> None:
    provider = Six({})
    assert not provider.is_connected
    await provider.connect()
    assert provider.is_connected
    events: list[Any] = []
    provider.on_event = events.append
    await provider.send_text("Test")
    assert any(event.type == EventType.TEXT_OUTPUT for event in events)

    class Default(Six):
        disconnect = BaseProvider.disconnect

    other = Default({})
    await other.connect()
    await other.disconnect()
    await other.disconnect()
    assert (other.is_connected, other.link.closed) == (False, 1)


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        ({"error": Exception("quota"), "recoverable": False}, ProviderError),
        ({"error": RateLimited("slow down")}, RateLimited),
        ({"error": "quota", "recoverable": False}, ProviderError),
    ],
)
async def test_a_reported_error_ends_the_reply_with_its_cause(
    make: Make, report: dict[str, Any], kind: type[Exception]
) -> None:
    class Broken(Six):
        async def send_text(self, text: str) -> None:
            self.emit_event(EventType.ERROR_GENERAL, report)

    register_provider("broken", Broken)
    engine, _ = make(provider="broken")
    await engine.connect()
    with pytest.raises(kind, match=r"quota|slow"):
        await engine.text_2_audio_response("hello", timeout=5)


@pytest.mark.parametrize("figure", ["many", {"audio_seconds": "many"}, [1]])
async def test_an_unusable_figure_is_no_figure(make: Make, figure: Any) -> None:
    class Odd(Six):
        async def get_usage(self) -> Any:
            return figure

        async def estimate_cost(self) -> Any:
            return figure

    register_provider("odd", Odd)
    engine, _ = make(provider="odd")
    await engine.connect()
    assert (await engine.get_usage()).text_tokens == 0
    assert (await engine.estimate_cost()).total == 0


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        (None, None),
        (Usage(responses=1), Usage(responses=1)),
        ({"inputTokens": 3, "outputTokens": 4}, Usage(input_text_tokens=3, output_text_tokens=4)),
        ({"audio_seconds": "1.5", "more": {}}, Usage(audio_seconds=1.5)),
        ({}, Usage()),
    ],
)
def test_usage_in_any_form(value: Any, usage: Usage | None) -> None:
    assert usage_of(value) == usage


@pytest.mark.parametrize(("value", "total"), [(1, 1.0), (0.5, 0.5), ("0.25", 0.25), (Cost(text_cost=2), 2.0)])
def test_cost_in_any_form(value: Any, total: float) -> None:
    cost = cost_of(value)
    assert cost is not None
    assert cost.total == total


def test_a_class_with_the_whole_contract_is_used_as_it_is() -> None:
    class Own(MockProvider):
        pass

    for provider in (MockProvider({}), Own({})):
        assert adapt(provider) is provider
    for cls in CLASSES:
        assert isinstance(adapt(cls({})), ProviderAdapter)


WORDS = TextOutput("Yes.", False)
SOUND = AudioOutputChunk(PCM, 24_000)


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_an_interrupted_response_does_not_begin_again() -> None:
    bounds = ResponseBounds()
    bounds.ask()
    begun = bounds.take(WORDS)
    assert kinds(begun) == ["ResponseStarted", "TextOutput"]
    cut = bounds.cut()
    assert cut == [ResponseCancelled("response_1", "client_cancelled")]
    assert bounds.take(SOUND) == [AudioOutputChunk(PCM, 24_000, 1, "response_1")]
    assert bounds.wait_s is None
    assert bounds.ask() == []
    assert bounds.take(SOUND)[0] == ResponseStarted("response_2")


def test_its_own_reports_precede() -> None:
    bounds = ResponseBounds()
    assert bounds.take(ResponseStarted("a")) == [ResponseStarted("a")]
    assert bounds.take(SOUND)[-1] == AudioOutputChunk(PCM, 24_000, 1, "a")
    assert bounds.take(ResponseCompleted()) == [AudioOutputStopped(100.0, "a"), ResponseCompleted("a")]
    bounds.take(WORDS)
    assert bounds.wait_s is None, "it reports the ends itself"
    assert bounds.take(ResponseCompleted()) == [ResponseCompleted("response_1")]
    assert bounds.take(ResponseCompleted()) == []
    bounds.ask()
    assert kinds(bounds.take(ResponseCompleted())) == ["ResponseStarted", "ResponseCompleted"]


def test_the_end_of_the_audio_shortens_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STOPPED_S", 1.0), ("AUDIO_S", 2.0), ("TEXT_S", 3.0)):
        monkeypatch.setattr(adapter, name, value)
    bounds = ResponseBounds()
    assert bounds.wait_s is None
    waits = []
    for event in (WORDS, SOUND, AudioOutputStopped(0.0)):
        bounds.take(event)
        waits.append(bounds.wait_s)
    assert waits == [3.0, 2.0, 1.0]
    assert bounds.complete() == [ResponseCompleted("response_1")]


def test_a_fatal_error_ends_the_response() -> None:
    bounds = ResponseBounds()
    bounds.take(WORDS)
    fatal = ErrorOccurred(error_message="no", recoverable=False)
    assert bounds.take(fatal) == [fatal, ResponseCancelled("response_1", "failed")]
    assert bounds.take(ErrorOccurred(recoverable=True)) == [ErrorOccurred(recoverable=True)]
