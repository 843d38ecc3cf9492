"""Supervises one microphone: starts the capture process, detects every way it can fail, and replaces it."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from voxd.audio.device_names import card_number
from voxd.audio.files import read_sound
from voxd.audio.process import AudioProcess
from voxd.audio.ring import Ring
from voxd.audio.sound import to_rate
from voxd.clock import Clock
from voxd.config.schema import Audio
from voxd.errors import DeviceError, VoxdError
from voxd.events import Emit
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

VIRTUAL = "virtual"
_CHECK_S = 0.2
# Opening takes 60 ms; without a limit a hung sound server would block it for ever.
_OPEN_TIMEOUT_S = 3.0
# The longest is also how long a microphone that was plugged in again may wait to be used.
_BACKOFF_S = (0.5, 1.0, 1.5, 2.0)
# Noise before the recording of the virtual microphone, until the wake engines deliver scores.
_LEAD_S = 1.5


class LossReason(StrEnum):
    """Why no sound arrives; the values appear in the event `audio.lost`."""

    MISSING = "missing"
    STALLED = "stalled"
    DIGITAL_SILENCE = "digital_silence"
    EXITED = "exited"
    IDENTITY = "identity"


# The hint for each reason.
HINTS = {
    LossReason.MISSING: "plug the microphone in, or set audio.input to a name from `voxctl devices`",
    LossReason.STALLED: "check the cable and `journalctl -k`; voxd keeps trying",
    LossReason.DIGITAL_SILENCE: "check its mute switch, its plug, and that audio.channel is one that hears",
    LossReason.EXITED: "see `voxctl logs` at level debug; voxd keeps trying",
    LossReason.IDENTITY: "plug the same microphone in again, or set audio.input to the new one",
}


@dataclass(frozen=True, slots=True)
class StreamState:
    """The observable state of a capture stream at one moment.

    ``heartbeat_s`` is the time of the last block (before the first: of the opening), ``flat_run`` the number
    of samples since the channel in use last carried a signal. ``card_before`` and ``card_now`` are the ids of
    the hardware at the opening and now; both are "" behind a sound server (PulseAudio, PipeWire), which hides
    the card.
    """

    now_s: float
    heartbeat_s: float
    flat_run: int
    alive: bool
    card_before: str = ""
    card_now: str = ""


def find_loss(state: StreamState, *, stall_timeout_s: float, silence_timeout_s: float) -> LossReason | None:
    """Return why the stream is lost, None while it works. ``silence_timeout_s`` 0 turns that check off."""
    # PortAudio reports none of this: after an unplug it raises nothing and keeps the stream "active" (its
    # issues 930, 1037 and 1074).
    if not state.alive:
        return LossReason.EXITED
    if state.card_now != state.card_before:
        return LossReason.IDENTITY
    if state.now_s - state.heartbeat_s > stall_timeout_s:
        return LossReason.STALLED
    # No microphone delivers a second without any noise: a sound server has moved the stream elsewhere, or the
    # channel is stuck.
    if 0 < silence_timeout_s <= state.flat_run / SAMPLE_RATE_HZ:
        return LossReason.DIGITAL_SILENCE
    return None


class Microphone:
    """The supervisor in the daemon; the samples go from the capture process straight into the ring.

    A device that fails is retried without end, always the same one: once a real device was opened, neither
    another nor a virtual one replaces it.
    """

    def __init__(
        self,
        config: Audio,
        ring: Ring,
        clock: Clock,
        emit: Emit,
        *,
        demonstration: Callable[[], Awaitable[Clip]] | None = None,
        asound: Path = Path("/proc/asound"),
    ) -> None:
        """``demonstration`` gives the virtual microphone its sound when audio.virtual_input is empty."""
        self._config = config
        self._ring = ring
        self._clock = clock
        self._emit = emit
        self._demonstration = demonstration
        self._asound = asound
        self._pinned = VIRTUAL if config.input == VIRTUAL else ""
        self._child: AudioProcess | None = None
        self._tasks = TaskScope("microphone")
        self._task: asyncio.Task[None] | None = None
        self._switch = asyncio.Lock()
        self._settled = asyncio.Event()
        self._lost_at: float | None = None
        self._overruns = ring.overruns
        self.problem = ""
        self.progress_s = clock.monotonic()
        """When the supervision last ran (CLOCK_MONOTONIC s); not updated while the stream is closed."""

    @property
    def device(self) -> str:
        """The stable name of the device; before the first opening, the value of audio.input."""
        return self._pinned or self._config.input

    @property
    def ok(self) -> bool:
        """Whether sound arrives, or would if the stream were open."""
        return self._lost_at is None

    @property
    def virtual(self) -> bool:
        """Whether a recording replaces the microphone."""
        return self._pinned == VIRTUAL

    @property
    def is_open(self) -> bool:
        """Whether the stream is meant to be open; False while muted."""
        return self._task is not None

    @property
    def pid(self) -> int | None:
        """The capture process, None while there is none."""
        return self._child.pid if self._child is not None and self._child.alive else None

    async def start(self) -> None:
        """Open the stream; returns with the first block or the first failure, and raises for neither."""
        await self.open_stream()

    async def open_stream(self) -> None:
        """Start capturing (unmute); idempotent."""
        async with self._switch:
            if self._task is None:
                self._settled.clear()
                self._task = self._tasks.start(self._supervise())
        await self._settled.wait()

    async def close_stream(self) -> None:
        """End the capture process (mute): when this returns, nothing holds the device; idempotent."""
        async with self._switch:
            task, self._task = self._task, None
            await cancel_and_wait(task)
            if self._child is not None:
                # The task may have been cancelled while it waited for the end of this process.
                await self._child.kill()
            self._settled.set()

    async def close(self) -> None:
        """Stop for good; idempotent."""
        await self.close_stream()

    async def _supervise(self) -> None:
        attempt = 0
        while True:
            self.progress_s = self._clock.monotonic()
            head_before = self._ring.head
            try:
                reason, problem = await self._session()
            except DeviceError as error:
                reason, problem = LossReason.MISSING, f"{error}; {error.hint}" if error.hint else str(error)
                if self._config.input == "auto" and not self._pinned and error.code == "no_device":
                    _log.warning("%s: using the virtual microphone, set audio.input to change that", error)
                    self._pinned = VIRTUAL
                    continue
            except VoxdError as error:
                reason, problem = LossReason.MISSING, f"{error}; {error.hint}"
            except Exception as error:
                # A task boundary: a bug here must not leave the device without a microphone.
                _log.exception("the supervision of the microphone failed")
                reason, problem = LossReason.EXITED, str(error)
            if self._ring.head > head_before and self.ok:
                attempt = 0
            self._declare_lost(reason, problem)
            await self._clock.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1

    async def _session(self) -> tuple[LossReason, str]:
        """Run one capture process until it is lost; never leaves one behind."""
        with contextlib.ExitStack() as stack:
            if self.virtual:
                child = await self._spawn_virtual(stack)
            else:
                arguments = {**self._arguments(), "device": self._pinned or self._config.input}
                child = await AudioProcess.spawn(
                    "voxd.audio.capture_process", arguments, (self._ring.fd, self._ring.wake_fd)
                )
            self._child = child
        try:
            opened = await child.report(_OPEN_TIMEOUT_S)
            self._pinned = self._pinned or opened["device"]
            reason = await self._watch(child, opened["raw_name"])
            return reason, HINTS[reason]
        finally:
            await child.kill()

    async def _watch(self, child: AudioProcess, raw_name: str) -> LossReason:
        # Until the new process writes its first block, the heartbeat in the ring is that of its predecessor.
        opened_at, first = self._clock.monotonic(), self._ring.head
        card = self._card(raw_name)
        # A recording is never deaf: its silence is part of it.
        silence_timeout_s = 0.0 if self.virtual else self._config.silence_timeout_s
        while True:
            now_s = self.progress_s = self._clock.monotonic()
            lost = find_loss(
                StreamState(
                    now_s=now_s,
                    heartbeat_s=max(opened_at, self._ring.heartbeat_s),
                    flat_run=self._ring.flat_run,
                    alive=child.alive,
                    card_before=card,
                    card_now=self._card(raw_name),
                ),
                stall_timeout_s=self._config.stall_timeout_s,
                silence_timeout_s=silence_timeout_s,
            )
            if lost is not None:
                return lost
            has_sound = self._ring.head > first
            if has_sound and (self._ring.flat_run == 0 or silence_timeout_s == 0):
                self._declare_ok()
            elif has_sound and self.ok:
                self._settled.set()
            if (total := self._ring.overruns) > self._overruns:
                self._emit("audio.overrun", count=total - self._overruns)
                self._overruns = total
            # Ten times as often until the first block arrives: `start` waits for it.
            await self._clock.sleep(_CHECK_S if self._settled.is_set() and self.ok else _CHECK_S / 10)

    async def _spawn_virtual(self, stack: contextlib.ExitStack) -> AudioProcess:
        clip = await self._virtual_clip()
        fd = os.memfd_create("voxd-clip")
        stack.callback(os.close, fd)
        os.write(fd, clip.pcm)
        arguments = {**self._arguments(), "role": "microphone", "clip_fd": fd, "lead_s": _LEAD_S}
        return await AudioProcess.spawn(
            "voxd.audio.virtual_process", arguments, (self._ring.fd, self._ring.wake_fd, fd)
        )

    async def _virtual_clip(self) -> Clip:
        if self._config.virtual_input:
            named = self._config.virtual_input
            clip = await asyncio.to_thread(lambda: read_sound(Path(os.path.expanduser(named))))
        elif self._demonstration is not None:
            clip = await self._demonstration()
        else:
            clip = Clip(b"", SAMPLE_RATE_HZ)
        return to_rate(clip, SAMPLE_RATE_HZ)

    def _arguments(self) -> dict[str, object]:
        return {
            "ring_fd": self._ring.fd,
            "wake_fd": self._ring.wake_fd,
            "channels": self._config.channels,
            "block_ms": self._config.block_ms,
        }

    def _card(self, raw_name: str) -> str:
        """Return the id of the card of an ALSA hw device; "" when it is gone or hidden by a sound server."""
        number = card_number(raw_name)
        if number is None:
            return ""
        try:
            return (self._asound / f"card{number}" / "id").read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def _declare_ok(self) -> None:
        self.problem = ""
        lost_at, self._lost_at = self._lost_at, None
        self._settled.set()
        if lost_at is None:
            return
        after_s = round(self._clock.monotonic() - lost_at, 3)
        _log.warning("the microphone %s is back after %.1f s", self.device, after_s)
        self._emit("audio.restored", device=self.device, after_s=after_s)

    def _declare_lost(self, reason: LossReason, problem: str) -> None:
        self.problem = problem
        if self._lost_at is None:
            self._lost_at = self._clock.monotonic()
            # Once, not at every attempt: without a microphone the log would fill up.
            _log.error("no sound from the microphone %s (%s): %s", self.device, reason, problem)
            self._emit("audio.lost", device=self.device, reason=str(reason), hint=problem)
        self._settled.set()
