"""Every problem of the status is an event when it begins and when it ends."""

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.device.problem_watch import CHECK_S, ProblemWatch


async def test_a_problem_is_published_once_until_it_changes_or_ends() -> None:
    problems: dict[str, str] = {"microphone": "unplugged"}
    clock, emit = FakeClock(), RecordingEmit()
    watch = ProblemWatch(lambda: problems, emit=emit, clock=clock)
    watch.start()
    await settle()
    assert emit.events == [("problem.found", {"part": "microphone", "message": "unplugged"})]
    await clock.advance(3 * CHECK_S)
    assert len(emit.events) == 1

    problems["cloud"] = "asked 3 times in 20 s"
    await clock.advance(CHECK_S)
    problems["cloud"] = "asked 4 times in 40 s"
    await clock.advance(CHECK_S)
    assert emit.types() == ["problem.found", "problem.found"]

    problems["microphone"] = "silent"
    await clock.advance(CHECK_S)
    assert emit.events[-1] == ("problem.found", {"part": "microphone", "message": "silent"})
    problems.clear()
    await clock.advance(CHECK_S)
    assert sorted(data["part"] for type, data in emit.events if type == "problem.solved") == [
        "cloud",
        "microphone",
    ]
    await watch.close()
