"""Audio modules that are loaded only when audio is captured, played, converted or read.

These imports stand inside functions because an engine that only sends text must not pay for them: soxr and
numpy cost 25 MB, and both are loaded by the microphone and the loudspeaker.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voxd.clock import Clock
from voxd.errors import AudioError, InvalidRequest
from voxd.events import Emit
from voxd.frames import Clip

if TYPE_CHECKING:
    from voxd.engine.microphone import MicrophoneStream
    from voxd.engine.player import Player
    from voxd.engine.recording import SessionRecording


class Converter(Protocol):
    """Converts the rate of mono s16le PCM as it arrives."""

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Return the converted samples that are ready; with ``last`` everything that was held back."""
        ...


class SameRate:
    """The converter between two equal rates."""

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Return ``pcm``."""
        return pcm


def converter(from_hz: int, to_hz: int) -> Converter:
    """Return a streaming converter between two rates; loads soxr only when they differ."""
    # soxr is not loaded for a vendor at the caller's rate, 24 kHz by default.
    if from_hz == to_hz:
        return SameRate()
    from voxd.audio.sound import Resampler

    return Resampler(from_hz, to_hz)


def as_bytes(audio: object) -> bytes:
    """Return ``audio`` as bytes. Raises `AudioError` for another type."""
    # A str would otherwise fail later, in the provider, with an error that names no argument of the caller.
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise AudioError(f"audio must be bytes, not {type(audio).__name__}")
    return bytes(audio)


def as_text(text: object) -> str:
    """Return ``text``. Raises `InvalidRequest` for another type."""
    if not isinstance(text, str):
        raise InvalidRequest(f"text must be str, not {type(text).__name__}", hint="pass a str")
    return text


def clip_of(audio: bytes, rate_hz: int) -> Clip:
    """Return ``audio``, raw PCM at ``rate_hz`` or a file of any format, as a clip; call it in a thread.

    Raises `InvalidRequest` for what cannot be decoded.
    """
    from voxd.audio.files import read_sound
    from voxd.audio.formats.recognise import MAX_HEAD_BYTES, Format, recognise

    form = recognise(audio[:MAX_HEAD_BYTES], is_whole=len(audio) <= MAX_HEAD_BYTES)
    return Clip(audio, rate_hz) if form in {None, Format.SAMPLES} else read_sound(audio)


def make_microphone(
    device: int | str | None, *, rate_hz: int, chunk_ms: int, clock: Clock, emit: Emit
) -> "MicrophoneStream":
    """Return a microphone that is not open yet."""
    from voxd.engine.microphone import MicrophoneStream

    return MicrophoneStream(device, rate_hz=rate_hz, chunk_ms=chunk_ms, clock=clock, emit=emit)


async def make_player(device: int | str, *, jitter_ms: int, clock: Clock, emit: Emit) -> "Player":
    """Return a player on a loudspeaker. Raises `DeviceError` for an index that does not exist."""
    from voxd.engine.player import open_player

    return await open_player(device, jitter_ms=jitter_ms, clock=clock, emit=emit)


def preload(*, converts: bool, plays: bool) -> None:
    """Import the modules that convert or play; call it in a thread."""
    if converts:
        import voxd.audio.sound
    if plays:
        import voxd.engine.player  # noqa: F401


def preload_microphone() -> None:
    """Import the modules that capture; call it in a thread."""
    import voxd.engine.microphone  # noqa: F401


def make_recording(directory: Path, *, rate_hz: int, keep_turns: int, clock: Clock) -> "SessionRecording":
    """Return a recording of the turns in ``directory``."""
    from voxd.engine.recording import SessionRecording

    return SessionRecording(directory, rate_hz=rate_hz, keep_turns=keep_turns, clock=clock)
