"""When a microphone counts as lost: PortAudio never says so (reference: its issues 930, 1037, 1074)."""

from dataclasses import dataclass
from enum import StrEnum

from voxd.frames import SAMPLE_RATE_HZ


class LossReason(StrEnum):
    """Why no sound arrives."""

    MISSING = "missing"
    STALLED = "stalled"
    DIGITAL_SILENCE = "digital_silence"
    EXITED = "exited"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class StreamState:
    """What can be seen of a capture stream at one moment.

    ``heartbeat_s`` is the time of the last block (or of the opening, before the first), ``zero_run`` in
    samples. ``card_before`` and ``card_now`` name the hardware at the opening and at this moment; both
    are "" where the stream does not show it (PulseAudio, PipeWire: there only the silence gives it away).
    """

    now_s: float
    heartbeat_s: float
    zero_run: int
    alive: bool
    card_before: str = ""
    card_now: str = ""


def find_loss(vitals: StreamState, *, stall_timeout_s: float, silence_timeout_s: float) -> LossReason | None:
    """Return why the stream is lost, None while it lives.

    No analogue microphone delivers a second of exact zeros: they mean that the sound server moved the
    stream to something else. ``silence_timeout_s`` 0 turns that check off.
    """
    if not vitals.alive:
        return LossReason.EXITED
    if vitals.card_now != vitals.card_before:
        return LossReason.IDENTITY
    if vitals.now_s - vitals.heartbeat_s > stall_timeout_s:
        return LossReason.STALLED
    if 0 < silence_timeout_s <= vitals.zero_run / SAMPLE_RATE_HZ:
        return LossReason.DIGITAL_SILENCE
    return None


HINTS = {
    LossReason.MISSING: "plug the microphone in, or set audio.input to a name from `voxctl devices`",
    LossReason.STALLED: "check the cable and `journalctl -k`; voxd goes on trying",
    LossReason.DIGITAL_SILENCE: "check the microphone's own mute switch, and that it is plugged in",
    LossReason.EXITED: "see `journalctl -u voxd` at level debug; voxd goes on trying",
    LossReason.IDENTITY: "plug the same microphone in again, or set audio.input to the new one",
}
"""What to do about each."""
