import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.tts_pace import GRACE_S, PlaybackLead, remaining_s

RATE_HZ = 16_000


def second(seconds: float = 1.0) -> Clip:
    return Clip(bytes(2 * round(seconds * RATE_HZ)), RATE_HZ)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20), st.floats(0, 10))
def test_who_waited_longer_than_there_is_sound_has_no_patience_left(
    steps: list[tuple[float, float]], first_s: float
) -> None:
    pace = PlaybackLead("vendor", first_s=first_s)
    heard = waited = 0.0
    for index, (sound_s, wait_s) in enumerate(steps):
        pace.waited(wait_s if index else 0)
        waited += wait_s if index else 0
        clip = second(sound_s)
        pace.heard(clip)
        heard += clip.duration_s
        assert pace.patience_s >= 0
        # Running dry is forgiven once the sound goes on, never counted twice.
        assert pace.patience_s >= GRACE_S + heard - waited - 1e-6
        assert pace.patience_s <= GRACE_S + heard + 1e-6


def test_a_voice_as_fast_as_speech_is_waited_for_for_ever() -> None:
    pace = PlaybackLead("vendor")
    for _ in range(1000):
        pace.heard(second())
        pace.waited(1.0)
    assert pace.patience_s == pytest.approx(GRACE_S)


def test_a_voice_that_drips_is_given_up_soon() -> None:
    pace = PlaybackLead("vendor")
    waited_s = 0.0
    while pace.patience_s > 1.0:
        pace.waited(1.0)
        pace.heard(Clip(bytes(2), RATE_HZ))
        waited_s += 1.0
    assert waited_s <= GRACE_S + 1


def test_a_voice_that_was_far_ahead_may_pause_as_long() -> None:
    pace = PlaybackLead("vendor")
    pace.heard(second(8))
    assert pace.patience_s == GRACE_S + 8


async def test_who_never_begins_is_told_from_who_stops() -> None:
    never = asyncio.get_running_loop().create_future()
    pace = PlaybackLead("vendor", first_s=0.01)
    with pytest.raises(ConnectionFailed) as raised:
        await pace.keeps(never)
    assert raised.value.code == "timeout"
    pace = PlaybackLead("vendor")
    pace.heard(second(0.01))
    pace.waited(GRACE_S)
    with pytest.raises(StreamError) as stopped:
        await pace.keeps(asyncio.get_running_loop().create_future())
    assert stopped.value.code == "too_slow"


async def test_what_a_piece_raises_is_raised() -> None:
    async def broken() -> None:
        raise ProviderError("no")

    with pytest.raises(ProviderError, match="no"):
        await PlaybackLead("vendor").keeps(broken())


@pytest.mark.parametrize(("left", "expected"), [(None, 5.0), (100.0, 5.0), (1.0, 1.0), (-1.0, 0.0)])
def test_a_turn_has_no_more_time_than_its_budget(left: float | None, expected: float) -> None:
    until_s = None if left is None else time.monotonic() + left
    assert remaining_s(Budget(until_s=until_s), 5.0) == pytest.approx(expected, abs=0.05)


def test_a_voice_may_have_another_grace() -> None:
    pace = PlaybackLead("vendor", first_s=20.0, grace_s=10.0)
    assert pace.patience_s == 20.0
    pace.heard(second())
    assert pace.patience_s == 11.0
