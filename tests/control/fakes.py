"""A device that records its calls, for the tests of every surface in front of it."""

import asyncio
import struct
from typing import Any

import msgspec

from tests.fakes import FakeClock
from voxd.bus.bus import Bus
from voxd.config.schema import Config
from voxd.errors import Muted, NotFound, VoxdError
from voxd.reports import (
    AgentStatus,
    AudioStatus,
    Device,
    DeviceStatus,
    EngineStatus,
    HistoryEntry,
    LastTurn,
    LedgerStage,
    MuteState,
    ProviderEntry,
    QuestionResult,
    QueueEntry,
    Reloaded,
    Said,
    TimerEntry,
    UsageEntry,
    WakeCandidate,
    WakeEntry,
)

STATUS = DeviceStatus(
    version="0.1.0",
    state="idle",
    summary="listening for hey_jarvis",
    uptime_s=75.0,
    muted=False,
    volume_percent=70,
    agent="default",
    wake_words=("hey_jarvis",),
    audio=AudioStatus("virtual", "virtual", True, "", 0, -42.5),
    engines=(EngineStatus("stt", "whisper", "pocketsphinx", True, "tiny.en is missing"),),
    leds="none",
    button="none",
    timers=1,
    turns=3,
    problems=("stt: tiny.en is missing",),
    agents=(AgentStatus("default", "cloud", "local", "refused (network_error)"),),
    queued=2,
)
WAV = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
WAV += b"data" + bytes(4)
SECRET_WORDS = "the cat is called tom"


class FakeDevice:
    """A `DeviceApi`: answers at once, except that `say` waits while ``busy`` is set."""

    def __init__(self) -> None:
        self.bus = Bus(FakeClock())
        self.calls: list[tuple[Any, ...]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.saying = asyncio.Event()
        self.said = asyncio.Event()
        self.fail: Exception | None = None
        self.volume_percent = 70
        self.configuration = Config()
        self.outcome = "answered"
        self.refusal = ""

    def status(self) -> DeviceStatus:
        if self.fail:
            raise self.fail
        return msgspec.structs.replace(STATUS, volume_percent=self.volume_percent)

    def listen(self) -> None:
        raise Muted("the microphone is muted")

    def stop(self) -> None:
        self.calls.append(("stop",))

    async def say(self, text: str, *, wait: bool) -> Said:
        self.calls.append(("say", text))
        self.saying.set()
        await self.free.wait()
        self.said.set()
        return Said("t1", "answered" if wait else "")

    async def ask(self, text: str, *, speak: bool) -> QuestionResult:
        self.calls.append(("ask", text, speak))
        reply = "" if self.outcome == "cancelled" else f"You said {text}"
        return QuestionResult("t1", text, reply, self.outcome, {"reply": 12.5}, self.refusal)

    async def ask_audio(self, wav: bytes, *, speak: bool) -> QuestionResult:
        self.calls.append(("ask_audio", len(wav), speak))
        return QuestionResult("t2", "what time is it", "Noon.", "answered", {"stt": 300.0})

    def repeat(self) -> None:
        self.calls.append(("repeat",))

    async def set_muted(self, muted: bool) -> MuteState:
        self.calls.append(("set_muted", muted))
        self.bus.emit("mute.changed", muted=muted, source="socket")
        return MuteState(muted)

    def volume(self) -> int:
        return self.volume_percent

    async def set_volume(self, percent: int) -> int:
        self.volume_percent = percent
        return percent

    async def last(self) -> LastTurn:
        stages = (
            LedgerStage("listen", 0.0, 900.0),
            LedgerStage("stt", 900.0, 1200.0),
            LedgerStage("reply", 1200.0, 1250.0),
        )
        return LastTurn("t1", "wake_word", "answered", 1_800_000_000.0, stages)

    async def history(self, limit: int) -> list[HistoryEntry]:
        entry = HistoryEntry(
            1, "t1", 1_800_000_000.0, "socket", "default", SECRET_WORDS, "Noted.", "answered", {"reply": 12.5}
        )
        return [entry][:limit]

    async def forget(self) -> int:
        self.calls.append(("forget",))
        return 1

    def timers(self) -> list[TimerEntry]:
        return [TimerEntry(7, "reminder", SECRET_WORDS, 1_800_000_090.0, 90.0, False)]

    async def cancel_timer(self, id: int) -> None:
        if id != 7:
            raise NotFound(f"unknown timer {id}", hint="run `voxctl timers`")
        self.calls.append(("cancel_timer", id))

    def wake_words(self) -> list[WakeEntry]:
        return [WakeEntry("hey_jarvis", True, "default", "micro", "oww", 0.3, 0.3, 4, 1)]

    def set_wake_word(
        self, name: str, *, enabled: bool | None, threshold: float | None, first_threshold: float | None
    ) -> WakeEntry:
        self.calls.append(("set_wake_word", name, enabled, threshold, first_threshold))
        return self.wake_words()[0]

    def wake_candidates(self, limit: int) -> list[WakeCandidate]:
        one = WakeCandidate(3, 1_800_000_000.0, "hey_jarvis", 0.8, 0.1, False, "second stage said no", 2.0)
        return [one][:limit]

    def wake_clip(self, id: int) -> bytes:
        if id != 3:
            raise NotFound(f"no candidate {id}")
        return WAV

    def providers(self) -> tuple[ProviderEntry, ...]:
        return (
            ProviderEntry("local", "local", "", (), ""),
            ProviderEntry("cloud", "openai", "gpt-realtime-2.1", ("default",), "refused (network_error)"),
            ProviderEntry("pipe", "pipeline", "", (), "", ("stt", "thinker", "local")),
        )

    async def use_provider(self, agent: str, name: str) -> None:
        if name not in ("local", "cloud"):
            raise NotFound(f"unknown provider {name}", hint="use one of local, cloud")
        self.calls.append(("use_provider", agent, name))

    async def test_provider(self, name: str) -> float:
        self.calls.append(("test_provider", name))
        return 123.4

    async def usage(self, days: int) -> list[UsageEntry]:
        priced = UsageEntry("2026-11-20", "cloud", 2, 3, 90.0, 100, 2000, 0.0625, "2026-11-20")
        guessed = UsageEntry("2026-11-19", "home", 1, 1, 0.0, 10, 0, 0.5, "", upper_usd=0.5)
        return [priced, guessed, UsageEntry("2026-11-19", "own", 1, 1, 30.0, 10, 20, None, "")]

    async def queue(self) -> list[QueueEntry]:
        spoken = QueueEntry(
            "0a1b2c3d4e5f", "default", "waiting", 1_800_000_000.0, 1500, 9000, 2, "network_error", 75.0
        )
        return [spoken, msgspec.structs.replace(spoken, id="112233445566", duration_ms=0)]

    async def retry_queued(self, id: str | None) -> int:
        return self._queued("retry_queued", id)

    async def drop_queued(self, id: str | None) -> int:
        return self._queued("drop_queued", id)

    def _queued(self, call: str, id: str | None) -> int:
        if id not in (None, "0a1b2c3d4e5f", "112233445566"):
            raise NotFound(f"nothing waits under {id}", hint="run `voxctl queue list`")
        self.calls.append((call, id))
        return 2 if id is None else 1

    async def devices(self) -> list[Device]:
        return [Device("virtual", "input", 1, 16_000.0, True)]

    def config(self) -> Config:
        return self.configuration

    async def reload(self) -> Reloaded:
        self.calls.append(("reload",))
        return Reloaded(("log.level",), ("audio.input",))

    def metrics(self) -> str:
        return "# TYPE voxd_turns_total counter\nvoxd_turns_total 3.0\n"


def failing(error: VoxdError | Exception) -> FakeDevice:
    """A device whose status raises ``error``."""
    device = FakeDevice()
    device.fail = error
    return device
