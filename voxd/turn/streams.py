"""Streams made of what is there already: a sound, a sentence, a recording."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from voxd.frames import BYTES_PER_SAMPLE, Clip, Frame, samples_from_s
from voxd.providers.contract import Provider, ReplyAudio, ReplyEnd, ReplyItem, ReplyText

# Recorded questions are handed over in the same pieces as live ones.
FRAME_SAMPLES = samples_from_s(0.08)


async def once(clip: Clip) -> AsyncGenerator[Clip]:
    """Yield ``clip``, for players that take a stream."""
    yield clip


async def sentence(text: str, provider: Provider, *, aloud: bool = True) -> AsyncGenerator[ReplyItem]:
    """Yield ``text`` as a reply, spoken by ``provider`` when ``aloud``."""
    yield ReplyText(text)
    # The text first: it is shown and stored although synthesis may fail.
    if aloud:
        async with aclosing(provider.speak(text)) as clips:
            async for clip in clips:
                yield ReplyAudio(clip)
    yield ReplyEnd()


async def frames(clip: Clip) -> AsyncIterator[Frame]:
    """Yield a recording in frames, as the microphone delivers it."""
    step = FRAME_SAMPLES * BYTES_PER_SAMPLE
    for start in range(0, len(clip.pcm), step):
        # Not paced: a vendor takes a recording as fast as its socket does.
        yield Frame(start // BYTES_PER_SAMPLE, clip.pcm[start : start + step])
