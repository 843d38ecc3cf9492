"""One capture between ring and utterance: what is given out when, however the VAD's chunks fall."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fakes import settle
from voxd.audio.ring import Ring
from voxd.config.schema import Endpoint
from voxd.listen import vad
from voxd.listen.capture import Capture
from voxd.listen.utterance import CHUNK_SAMPLES, Utterance

BLOCK = bytes(2 * 640)


@pytest.fixture
def ring() -> Iterator[Ring]:
    with Ring.create(1, 4.0) as made:
        yield made


def held(ring: Ring, utterance: Utterance) -> Capture:
    return Capture(ring, 0, vad.Vad(), utterance, Endpoint(), hold=True, no_speech_s=None)


async def test_a_frame_is_given_out_before_the_vad_has_heard_its_last_sample(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    capture = held(ring, utterance)
    ring.append(BLOCK)
    capture.advance()
    ring.append(BLOCK)
    assert CHUNK_SAMPLES % vad.CHUNK_SAMPLES, "the VAD's chunks end inside the frame"
    capture.offer()
    assert (await anext(utterance)).end == CHUNK_SAMPLES


async def test_after_a_delay_no_more_than_one_frame_is_given_out_unheard(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    capture = held(ring, utterance)
    for _ in range(20):
        ring.append(BLOCK)
    capture.offer()
    assert (await anext(utterance)).end == CHUNK_SAMPLES
    second = asyncio.ensure_future(anext(utterance))
    await settle()
    assert not second.done()
    capture.advance()
    assert (await second).end == 2 * CHUNK_SAMPLES


class Voice(vad.Vad):
    """Hears a voice in everything."""

    def probability(self, pcm: bytes) -> float:
        return 0.9


async def test_what_was_given_out_belongs_to_the_utterance_when_it_ends(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    capture = Capture(ring, 0, Voice(), utterance, Endpoint(max_s=1.0), hold=True, no_speech_s=None)
    while not capture.done:
        ring.append(BLOCK)
        capture.offer()
        capture.advance()
    *_, last = [frame async for frame in utterance]
    assert last.end == utterance.end_sample
    assert 16_000 <= last.end <= 16_000 + CHUNK_SAMPLES + vad.CHUNK_SAMPLES
