"""Who listens: the device beside a late one, replay from the beginning, words while the user speaks."""

import pytest

from tests.fakes import FakeClock, settle
from tests.providers.pipeline.rig import QUESTION, Rig
from tests.providers.pipeline.stage_fakes import HANG, Ears
from voxd.errors import ConnectionFailed, ModelError
from voxd.events import EventType as E
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.stages.contract import StageKind


def known(seconds: float) -> Latencies:
    latencies = Latencies()
    for _ in range(5):
        latencies.record(StageKind.STT, "cloud", seconds)
    return latencies


async def test_the_device_listens_too_when_the_cloud_is_later_than_usual() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, "from the cloud", steps=(0.9,))
    own = Ears("local", clock, "from the device", kind="local", steps=(0.2,))
    async with Rig(clock=clock, stt=[cloud], hedge=own, latencies=known(0.3)) as rig:
        await rig.ask(0.29)
        assert own.calls == 0
        await clock.advance(0.02)
        assert own.calls == 1
        await clock.advance(0.2)
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "from the device"
        await settle()
        assert (cloud.gone, cloud.heard) == (1, [QUESTION]), "the loser is cancelled"
        assert rig.board.failures == [], "late is not unhealthy"


async def test_the_cloud_still_wins_when_it_is_first() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, "from the cloud", steps=(0.4,))
    own = Ears("local", clock, "from the device", kind="local", steps=(0.5,))
    async with Rig(clock=clock, stt=[cloud], hedge=own, latencies=known(0.3)) as rig:
        await rig.ask(1.0)
        assert [data["text"] for data in rig.of(E.TEXT_TRANSCRIPTION)] == ["from the cloud"]
        assert own.gone == 1
        assert rig.latencies.p95_s(StageKind.STT, "cloud") == pytest.approx(0.4)


async def test_a_late_one_is_allowed_more_the_next_time() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, steps=(0.9,))
    own = Ears("local", clock, kind="local", steps=(0.2,))
    async with Rig(clock=clock, stt=[cloud], hedge=own, latencies=known(0.3)) as rig:
        await rig.ask(1.0)
        assert rig.latencies.p95_s(StageKind.STT, "cloud") == pytest.approx(0.5)


async def test_a_device_that_cannot_listen_harms_nobody() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, steps=(1.0,))
    own = Ears("local", clock, kind="local", steps=(ModelError("no model"),))
    async with Rig(clock=clock, stt=[cloud, own], hedge=own, latencies=known(0.3)) as rig:
        await rig.ask(2.0)
        assert rig.said == ["It is noon."]
        assert own.calls == 1


async def test_without_an_own_engine_the_next_vendor_hears_it_from_the_beginning() -> None:
    clock = FakeClock()
    first = Ears("first", clock, steps=(HANG,))
    second = Ears("second", clock, "the second heard it")
    async with Rig(clock=clock, stt=[first, second]) as rig:
        await rig.ask(0.99)
        assert second.calls == 0
        await clock.advance(0.02)
        assert second.heard == [QUESTION]
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "the second heard it"
        assert rig.board.failures == [("first", "timeout")]


async def test_the_next_vendor_and_the_device_race_when_the_first_is_out() -> None:
    clock = FakeClock()
    first = Ears("first", clock, steps=(HANG,))
    second = Ears("second", clock, "second", steps=(0.5,))
    own = Ears("local", clock, "own", kind="local", steps=(0.9,))
    async with Rig(clock=clock, stt=[first, second], hedge=own) as rig:
        await rig.ask(3.0)
        assert (second.calls, own.calls) == (1, 1)
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "own", "it began at 0.5 s, the other at 1.0 s"


async def test_one_that_was_given_up_may_still_be_the_first() -> None:
    clock = FakeClock()
    first = Ears("first", clock, "first", steps=(1.4,))
    second = Ears("second", clock, "second", steps=(5.0,))
    async with Rig(clock=clock, stt=[first, second]) as rig:
        await rig.ask(1.5)
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "first"
        assert (rig.board.failures, rig.board.answers[:1]) == ([("first", "timeout")], ["first"])
        assert second.gone == 1


async def test_a_cloud_that_is_late_is_not_cut_off_for_a_device_that_is_later() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, "from the cloud", steps=(1.6,))
    own = Ears("local", clock, kind="local", steps=(9.0,))
    async with Rig(clock=clock, stt=[cloud], hedge=own) as rig:
        await rig.ask(1.7)
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "from the cloud"


async def test_one_that_breaks_in_mid_sentence_is_replaced_while_the_user_speaks() -> None:
    clock = FakeClock()
    first = Ears("first", clock, early=(0.3, ConnectionFailed("gone")))
    second = Ears("second", clock, partials=("what", "what time"))
    async with Rig(clock=clock, stt=[first, second]) as rig:
        await rig.speak()
        assert [data["text"] for data in rig.of(E.TEXT_TRANSCRIPTION)] == ["what", "what time"]
        await rig.provider.commit()
        await settle()
        assert second.heard == [QUESTION]


async def test_one_that_has_finished_before_the_user_is_not_believed() -> None:
    clock = FakeClock()

    class Hasty(Ears):
        async def transcribe(self, audio, request):  # type: ignore[no-untyped-def]
            from voxd.providers.pipeline.stages.contract import Transcription

            async for _ in audio:
                yield Transcription("half of", final=True)
                return

    second = Ears("second", clock)
    async with Rig(clock=clock, stt=[Hasty("first", clock), second]) as rig:
        await rig.ask()
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "what time is it"
        assert rig.board.failures == [("first", "stream_failed")]


async def test_an_empty_list_is_reported() -> None:
    rig = Rig()
    rig.parts.stt.candidates.stages = ()
    rig.provider._is_connected = True
    await rig.ask()
    assert rig.errors == ["provider_unavailable"]
    await rig.provider.disconnect()


async def test_notes_of_a_recogniser_are_no_question() -> None:
    clock = FakeClock()
    cloud = Ears("cloud", clock, "<|en|> what time is it<|endoftext|>")
    async with Rig(clock=clock, stt=[cloud]) as rig:
        await rig.ask(1.0)
        assert rig.of(E.TEXT_TRANSCRIPTION)[-1]["text"] == "what time is it"
