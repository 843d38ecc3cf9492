"""When a microphone counts as lost: PortAudio never says so (reference: its issues 930, 1037, 1074)."""

from dataclasses import dataclass
from enum import StrEnum

from voxd.frames import SAMPLE_RATE_HZ


class Lost(StrEnum):
    """Why there is no sound."""

    MISSING = "missing"
    STALLED = "stalled"
    DIGITAL_SILENCE = "digital_silence"
    EXITED = "exited"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Vitals:
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


def judge(vitals: Vitals, *, stall_timeout_s: float, silence_timeout_s: float) -> Lost | None:
    """Return why the stream is lost, None while it lives.

    No analogue microphone delivers a second of exact zeros: they mean that the sound server moved the
    stream to something else. ``silence_timeout_s`` 0 turns that check off.
    """
    if not vitals.alive:
        return Lost.EXITED
    if vitals.card_now != vitals.card_before:
        return Lost.IDENTITY
    if vitals.now_s - vitals.heartbeat_s > stall_timeout_s:
        return Lost.STALLED
    if 0 < silence_timeout_s <= vitals.zero_run / SAMPLE_RATE_HZ:
        return Lost.DIGITAL_SILENCE
    return None


HINTS = {
    Lost.MISSING: "plug the microphone in, or set audio.input to a name from `voxctl devices`",
    Lost.STALLED: "check the cable and `journalctl -k`; voxd goes on trying",
    Lost.DIGITAL_SILENCE: "check the microphone's own mute switch, and that it is plugged in",
    Lost.EXITED: "see `journalctl -u voxd` at level debug; voxd goes on trying",
    Lost.IDENTITY: "plug the same microphone in again, or set audio.input to the new one",
}
"""What to do about each."""
