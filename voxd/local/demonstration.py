"""What the virtual microphone hears when it is given no recording: a wake word and a question."""

from voxd.errors import VoxdError
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.local.contract import Synthesizer

PAUSE_S = 0.3
QUESTION = "what time is it"


async def demonstration(synthesizer: Synthesizer, wake_word: str) -> Clip:
    """Return ``wake_word``, a short pause and a question as one clip.

    Silence when the voice fails: the device then starts all the same, and says so in its status.
    """
    try:
        spoken = [await _spoken(synthesizer, text) for text in (wake_word, QUESTION)]
    except VoxdError:
        return Clip(b"", 16_000)
    rate_hz = spoken[0].rate_hz
    pause = bytes(round(PAUSE_S * rate_hz) * BYTES_PER_SAMPLE)
    return Clip(pause.join(clip.pcm for clip in spoken), rate_hz)


async def _spoken(synthesizer: Synthesizer, text: str) -> Clip:
    clips = [clip async for clip in synthesizer.synthesize(text)]
    return Clip(b"".join(clip.pcm for clip in clips), clips[0].rate_hz if clips else 16_000)
