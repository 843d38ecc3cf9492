"""What vendors that take a whole utterance at once share: gathering and packing it, reading the answer."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from voxd.audio import flac
from voxd.errors import StreamError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.tasks import in_thread

FLAC_TYPE = "audio/flac"

T = TypeVar("T")


async def collect_audio(audio: AsyncIterator[Frame]) -> Clip:
    """Return the sound of ``audio`` once the user has finished; it is as long as an utterance may be."""
    pcm = bytearray()
    async for frame in audio:
        pcm += frame.pcm
    return Clip(bytes(pcm), SAMPLE_RATE_HZ)


async def encode_flac(clip: Clip) -> bytes:
    """Return ``clip`` as FLAC. Raises `AudioError` when there is no sound in it."""
    return await in_thread(lambda: flac.encode(clip), name="pack an utterance")


def parse_answer(provider: str, answer: Any, kind: type[T]) -> T:
    """Return the JSON that ``provider`` answered, decoded or as text, as ``kind``.

    Raises `StreamError` when it is something else.
    """
    try:
        if isinstance(answer, str):
            return msgspec.json.decode(answer, type=kind)
        return msgspec.convert(answer, kind)
    except (msgspec.DecodeError, RecursionError):
        raise StreamError(
            "the vendor's answer is no transcript", provider=provider, code="bad_answer"
        ) from None
