"""The worker outlives whatever its process does."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes import FakeClock, settle
from voxd.children import explain_exit
from voxd.errors import DeadlineExceeded, LocalEngineError, ModelError
from voxd.local.worker import Load, Worker

ARGV = (sys.executable, str(Path(__file__).with_name("stub_engine.py")))
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
Make = Callable[..., Worker]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    workers: list[Worker] = []

    def build(load: str = "", *, timeout_s: float = 20.0, clock: FakeClock | None = None) -> Worker:
        worker = Worker(
            "stub",
            ARGV,
            lambda: Load({"load": load}),
            clock or FakeClock(),
            timeout_s=timeout_s,
            idle_unload_s=60.0,
            environment=ENVIRONMENT,
        )
        workers.append(worker)
        return worker

    yield build
    for worker in workers:
        await worker.close()


async def ask(worker: Worker, op: str, payload: bytes = b"") -> list[bytes]:
    return [body async for _, body in worker.request(op, payload)]


async def pid_of(worker: Worker) -> int:
    pids = [int(message.data["pid"]) async for message, _ in worker.request("echo")]
    return pids[0]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children() -> list[str]:
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in listed if b"stub_engine" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while alive(pid):
            await asyncio.sleep(0)


async def test_a_request_is_answered_and_the_process_is_kept(make: Make) -> None:
    worker = make()
    assert await ask(worker, "echo", b"hello") == [b"hello"]
    pid = worker.pid
    assert await ask(worker, "echo", b"again") == [b"again"]
    assert worker.pid == pid
    assert worker.loaded


async def test_the_process_gives_way_to_the_audio(make: Make) -> None:
    nice = [message.data["nice"] async for message, _ in make().request("echo")]
    assert nice[0] >= min(19, os.nice(0) + 5)


async def test_what_a_library_prints_does_not_corrupt_the_protocol(make: Make) -> None:
    assert await ask(make(), "print", b"intact") == [b"intact"]


async def test_much_noise_on_standard_error_neither_blocks_nor_grows(make: Make) -> None:
    assert await ask(make(), "noise") == [b""]


async def test_prepare_starts_in_the_background_once(make: Make) -> None:
    worker = make()
    worker.prepare()
    worker.prepare()
    assert not worker.loaded
    await ask(worker, "echo")
    assert children() == [str(worker.pid)]


@pytest.mark.parametrize("op", ["hang", "until_cancelled"])
async def test_a_request_past_its_deadline_is_ended_with_its_process(make: Make, op: str) -> None:
    worker = make(timeout_s=1.0)
    pid = await pid_of(worker)
    with pytest.raises(DeadlineExceeded):
        await ask(worker, op)
    await gone(pid)
    assert await ask(worker, "echo", b"back") == [b"back"]


async def test_a_model_that_hangs_while_loading_is_given_up(make: Make) -> None:
    with pytest.raises(DeadlineExceeded):
        await ask(make("hang", timeout_s=0.5), "echo")


async def test_a_broken_model_is_a_model_error_with_its_hint(make: Make) -> None:
    with pytest.raises(ModelError, match="the model is broken") as caught:
        await ask(make("broken"), "echo")
    assert caught.value.hint == "pull it again"


async def test_a_crash_while_loading_reports_the_signal_and_the_last_output(make: Make) -> None:
    with pytest.raises(LocalEngineError, match=r"SIGABRT.*last words"):
        await ask(make("crash"), "echo")


async def test_a_process_that_exits_in_mid_answer_is_an_error_and_the_next_request_works(make: Make) -> None:
    worker = make()
    pid = await pid_of(worker)
    with pytest.raises(LocalEngineError, match=r"SIGKILL.*last words"):
        await ask(worker, "die")
    assert await ask(worker, "echo", b"back") == [b"back"]
    assert worker.pid != pid


async def test_a_process_killed_while_idle_is_started_again(make: Make) -> None:
    worker = make()
    pid = await pid_of(worker)
    os.kill(pid, signal.SIGKILL)
    await gone(pid)
    async with asyncio.timeout(5):
        while worker.loaded:
            await asyncio.sleep(0)
    assert await ask(worker, "echo", b"back") == [b"back"]


@pytest.mark.parametrize("op", ["garbage", "endless", "huge"])
async def test_garbage_from_the_process_is_an_error_and_ends_it(make: Make, op: str) -> None:
    worker = make()
    pid = await pid_of(worker)
    with pytest.raises(LocalEngineError):
        await ask(worker, op)
    await gone(pid)


@pytest.mark.parametrize(("op", "words"), [("raise", "a plain bug"), ("memory", "out of memory")])
async def test_an_exception_in_the_engine_is_an_error_that_keeps_the_process(
    make: Make, op: str, words: str
) -> None:
    worker = make()
    pid = await pid_of(worker)
    with pytest.raises(LocalEngineError, match=words):
        await ask(worker, op)
    assert await pid_of(worker) == pid


async def test_closing_the_answers_cancels_the_work_and_keeps_the_model(make: Make) -> None:
    worker = make()
    answers = worker.request("until_cancelled")
    await anext(answers)
    pid = worker.pid
    await answers.aclose()
    assert await ask(worker, "echo", b"next") == [b"next"]
    assert worker.pid == pid


async def test_work_that_does_not_heed_a_cancellation_is_killed(make: Make) -> None:
    worker = make()
    answers = worker.request("hang")
    await anext(answers)
    pid = worker.pid
    await answers.aclose()
    assert await ask(worker, "echo", b"next") == [b"next"]
    assert worker.pid != pid


async def test_an_idle_model_is_unloaded_and_comes_back(make: Make) -> None:
    clock = FakeClock()
    worker = make(clock=clock)
    pid = await pid_of(worker)
    await clock.advance(59)
    assert worker.loaded
    await clock.advance(2)
    await gone(pid)
    assert not worker.loaded
    assert await ask(worker, "echo", b"back") == [b"back"]


async def test_use_puts_the_unloading_off(make: Make) -> None:
    clock = FakeClock()
    worker = make(clock=clock)
    await ask(worker, "echo")
    await clock.advance(50)
    await ask(worker, "echo")
    await clock.advance(50)
    assert worker.loaded


async def test_twenty_restarts_leak_neither_descriptors_nor_processes(make: Make) -> None:
    worker = make()
    counts = []
    for _ in range(20):
        with pytest.raises(LocalEngineError):
            await ask(worker, "die")
        await settle()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[-1] <= counts[1]
    assert children() == []


async def test_the_loop_runs_on_while_the_engine_works(make: Make) -> None:
    worker = make()
    answers = worker.request("until_cancelled")
    await anext(answers)
    turns = 0
    waiting = asyncio.ensure_future(anext(answers))
    for _ in range(100):
        await asyncio.sleep(0)
        turns += 1
    assert turns == 100
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await answers.aclose()


async def test_a_closed_worker_starts_nothing(make: Make) -> None:
    worker = make()
    pid = await pid_of(worker)
    await worker.close()
    await worker.close()
    await gone(pid)
    with pytest.raises(LocalEngineError, match="closed"):
        await ask(worker, "echo")


async def test_the_process_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen({ARGV!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        'p.stdin.write(b\'{"op":"echo","id":1}\\n\'); p.stdin.flush()\n'
        "p.stdout.readline(); print(p.pid, flush=True); sys.stdin.read()"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await gone(pid)
    parent._transport.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "memory runs out"), (-6, "SIGABRT"), (-11, "SIGSEGV"), (3, "exit status 3")]
)
def test_an_exit_status_is_explained(code: int, words: str) -> None:
    assert words in explain_exit(code)
