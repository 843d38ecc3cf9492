import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.frames import Clip
from voxd.providers.pipeline.stages.tts_pace import GRACE_S, PlaybackLead

LEAD_RATE_HZ = 16_000


def second(seconds: float = 1.0) -> Clip:
    return Clip(bytes(2 * round(seconds * LEAD_RATE_HZ)), LEAD_RATE_HZ)


@examples(50)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20), st.floats(0, 10))
def test_a_wait_longer_than_the_buffered_sound_leaves_no_time(
    steps: list[tuple[float, float]], first_s: float
) -> None:
    pace = PlaybackLead("vendor", first_s=first_s)
    heard = waited = 0.0
    for index, (sound_s, wait_s) in enumerate(steps):
        pace.waited(wait_s if index else 0)
        waited += wait_s if index else 0
        clip = second(sound_s)
        pace.add(clip)
        heard += clip.duration_s
        assert pace.allowed_s >= 0
        # Running dry is forgiven once the sound goes on, never counted twice.
        assert pace.allowed_s >= GRACE_S + heard - waited - 1e-6
        assert pace.allowed_s <= GRACE_S + heard + 1e-6


def test_a_voice_as_fast_as_speech_is_waited_for_for_ever() -> None:
    pace = PlaybackLead("vendor")
    for _ in range(1000):
        pace.add(second())
        pace.waited(1.0)
    assert pace.allowed_s == pytest.approx(GRACE_S)


def test_a_voice_that_drips_is_given_up_soon() -> None:
    pace = PlaybackLead("vendor")
    waited_s = 0.0
    while pace.allowed_s > 1.0:
        pace.waited(1.0)
        pace.add(Clip(bytes(2), LEAD_RATE_HZ))
        waited_s += 1.0
    assert waited_s <= GRACE_S + 1


def test_a_voice_that_was_far_ahead_may_pause_as_long() -> None:
    pace = PlaybackLead("vendor")
    pace.add(second(8))
    assert pace.allowed_s == GRACE_S + 8


async def test_a_vendor_that_never_starts_is_distinguished_from_one_that_stops() -> None:
    never = asyncio.get_running_loop().create_future()
    pace = PlaybackLead("vendor", first_s=0.01)
    with pytest.raises(ConnectionFailed) as raised:
        await pace.wait_for(never)
    assert raised.value.code == "timeout"
    pace = PlaybackLead("vendor")
    pace.add(second(0.01))
    pace.waited(GRACE_S)
    with pytest.raises(StreamError) as stopped:
        await pace.wait_for(asyncio.get_running_loop().create_future())
    assert stopped.value.code == "too_slow"


async def test_what_a_piece_raises_is_raised() -> None:
    async def broken() -> None:
        raise ProviderError("no")

    with pytest.raises(ProviderError, match="no"):
        await PlaybackLead("vendor").wait_for(broken())


def test_a_voice_may_have_another_grace() -> None:
    pace = PlaybackLead("vendor", first_s=20.0, grace_s=10.0)
    assert pace.allowed_s == 20.0
    pace.add(second())
    assert pace.allowed_s == 11.0
