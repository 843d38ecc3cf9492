"""The methods of the running device; every user interface and protocol calls these."""

from typing import Protocol

from voxd.bus.bus import Bus
from voxd.config.schema import Config
from voxd.reports import (
    Device,
    DeviceStatus,
    HistoryEntry,
    LastTurn,
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


class DeviceApi(Protocol):
    """The running device. Methods raise `voxd.errors.VoxdError`."""

    bus: Bus

    def status(self) -> DeviceStatus:
        """Return the state of the device."""

    def listen(self) -> None:
        """Start listening as if the button had been pressed. Raises `Muted`, `DeviceError`."""

    def stop(self) -> None:
        """Stop listening, speaking and ringing."""

    async def say(self, text: str, *, wait: bool) -> Said:
        """Speak ``text``; returns when it is accepted, with ``wait`` when it was played to its end.

        Raises `Busy` during a turn, `DeviceError` without a loudspeaker, and `InvalidRequest` for what cannot
        be spoken: code empty_text, nothing_to_say, script_not_spoken or text_too_long. With ``wait`` also the
        error that kept it from being heard.
        """

    async def ask(self, text: str, *, speak: bool) -> QuestionResult:
        """Answer a typed question. Raises `Busy`."""

    async def ask_audio(self, wav: bytes, *, speak: bool) -> QuestionResult:
        """Answer a spoken question given as a sound file of any format. Raises `Busy`, `InvalidRequest`."""

    def repeat(self) -> None:
        """Say the last reply again."""

    async def set_muted(self, muted: bool) -> MuteState:
        """Close or open the microphone. Raises `Muted`, and `StoreError`: then it stays closed."""

    def volume(self) -> int:
        """Return the output volume in percent."""

    async def set_volume(self, percent: int) -> int:
        """Set the output volume; returns it. Raises `InvalidRequest`, and `StoreError`: it is as before."""

    async def last(self) -> LastTurn:
        """Return the ledger of the last turn. Raises `NotFound`."""

    async def history(self, limit: int) -> list[HistoryEntry]:
        """Return the newest turns, newest first."""

    async def forget(self) -> int:
        """Delete the whole history; returns how many turns were deleted."""

    def timers(self) -> list[TimerEntry]:
        """Return timers, alarms and reminders, the next one first."""

    async def cancel_timer(self, id: int) -> None:
        """Cancel or silence one. Raises `NotFound`."""

    def wake_words(self) -> list[WakeEntry]:
        """Return the wake words as they run."""

    def set_wake_word(
        self, name: str, *, enabled: bool | None, threshold: float | None, first_threshold: float | None
    ) -> WakeEntry:
        """Change a word until the next restart. Raises `NotFound`, `InvalidRequest`."""

    def wake_candidates(self, limit: int) -> list[WakeCandidate]:
        """Return what was suspected lately, newest first."""

    def wake_clip(self, id: int) -> bytes:
        """Return the sound of a candidate as a WAV file. Raises `NotFound`."""

    async def devices(self) -> list[Device]:
        """Return the sound devices of the machine."""

    def config(self) -> Config:
        """Return the configuration in force."""

    async def reload(self) -> Reloaded:
        """Read the configuration again. Raises `ConfigError` and keeps the old one."""

    def providers(self) -> tuple[ProviderEntry, ...]:
        """Return the configured providers, the device itself first."""

    async def use_provider(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until a restart. Raises `NotFound`, `ProviderError`."""

    async def test_provider(self, name: str) -> float:
        """Open a session with a provider and close it; returns ms. Raises `NotFound`, `ProviderError`."""

    async def usage(self, days: int) -> list[UsageEntry]:
        """Return what was used in the last ``days`` days, today included, the newest day first."""

    async def queue(self) -> list[QueueEntry]:
        """Return the queued questions, the oldest first."""

    async def retry_queued(self, id: str | None) -> int:
        """Ask one, or all, again at once; returns how many. Raises `NotFound`."""

    async def drop_queued(self, id: str | None) -> int:
        """Give one, or all, up; returns how many. Raises `NotFound`."""

    def metrics(self) -> str:
        """Return the metrics in the Prometheus text format."""
