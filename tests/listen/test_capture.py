"""One capture between ring and utterance: what is given out when, however the VAD's chunks fall."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fakes import settle
from voxd.audio import ring_writer
from voxd.audio.ring import Ring
from voxd.config.schema import Endpoint
from voxd.listen.capture import VAD_CHUNK_SAMPLES, UtteranceCapture, Vad
from voxd.listen.utterance import CHUNK_SAMPLES, Utterance

BLOCK = bytes(2 * 640)


@pytest.fixture
def ring() -> Iterator[Ring]:
    with Ring.create(1, 4.0) as made:
        yield made


def held(ring: Ring, utterance: Utterance) -> UtteranceCapture:
    return UtteranceCapture(ring, 0, Vad(), utterance, Endpoint(), hold=True, no_speech_s=None)


async def test_a_frame_is_given_out_before_the_vad_has_heard_its_last_sample(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    capture = held(ring, utterance)
    ring.append(BLOCK)
    capture.advance()
    ring.append(BLOCK)
    assert CHUNK_SAMPLES % VAD_CHUNK_SAMPLES, "the VAD's chunks end inside the frame"
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


class Voice(Vad):
    """A VAD that takes every sound for a voice."""

    def probability(self, pcm: bytes) -> float:
        return 0.9


async def test_what_was_given_out_belongs_to_the_utterance_when_it_ends(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    capture = UtteranceCapture(ring, 0, Voice(), utterance, Endpoint(max_s=1.0), hold=True, no_speech_s=None)
    while not capture.done:
        ring.append(BLOCK)
        capture.offer()
        capture.advance()
    *_, last = [frame async for frame in utterance]
    assert last.end == utterance.end_sample
    assert 16_000 <= last.end <= 16_000 + CHUNK_SAMPLES + VAD_CHUNK_SAMPLES


def ended(ring: Ring, blocks: int, losses: int = 0) -> UtteranceCapture:
    settings = Endpoint(max_s=60.0)
    capture = UtteranceCapture(ring, 0, Voice(), Utterance(ring, 0, 0), settings, hold=True, no_speech_s=None)
    for _ in range(blocks):
        ring.append(BLOCK)
        capture.offer()
        capture.advance()
    ring.header[ring_writer.OVERRUNS] += losses
    capture.release(None)
    return capture


async def test_the_quality_counts_what_the_device_lost_since_the_capture_began(ring: Ring) -> None:
    ring.header[ring_writer.OVERRUNS] = 7
    quality = ended(ring, blocks=20, losses=2).quality()
    assert quality is not None
    assert (quality.dropouts, quality.level_dbfs) == (2, -120.0)


async def test_of_an_utterance_longer_than_the_ring_its_end_is_measured(ring: Ring) -> None:
    quality = ended(ring, blocks=200).quality()
    assert quality is not None


async def test_of_nothing_there_is_no_quality(ring: Ring) -> None:
    assert ended(ring, blocks=0).quality() is None
    unsaid = UtteranceCapture(
        ring, 0, Voice(), Utterance(ring, 0, 0), Endpoint(), hold=False, no_speech_s=None
    )
    assert unsaid.quality() is None
