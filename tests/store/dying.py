"""A process that works through the queue as fast as it can and is killed, again and again.

Run as ``python -m tests.store.dying FILE ROUNDS SEED``. It prints what was stored and what was delivered,
one line each: ``kept ID DIGEST``, ``event ID DIGEST``, ``delivered ID``, ``gone ID``, and ``killed`` or
``ended`` after each round. One process forks them all: starting Python a hundred times takes a minute.
"""

import asyncio
import hashlib
import os
import random
import signal
import sys
from pathlib import Path

from voxd.clock import SystemClock
from voxd.config import schema
from voxd.store.db import Database
from voxd.store.queue import UtteranceQueue

LONGEST_LIFE_S = 0.12
MOST_WAITING = 30
CONFIG = schema.Queue(max_utterances=1000, max_size_mb=100)


def tell(*words: str) -> None:
    """Say it in one write, which no kill tears apart."""
    os.write(1, (" ".join(words) + "\n").encode())


def digest(sound: bytes) -> str:
    return hashlib.sha256(sound).hexdigest()[:16]


async def opened(path: Path) -> tuple[Database, UtteranceQueue]:
    database = Database(path)
    problem = await database.open()
    assert problem == "", problem
    return database, UtteranceQueue(database, CONFIG, SystemClock())


async def deliver_all(queue: UtteranceQueue) -> None:
    for late in await queue.undelivered():
        tell("event", late.id, late.reply)
        await queue.deliver(late.id)
        tell("delivered", late.id)


async def answer_one(queue: UtteranceQueue) -> bool:
    kept = await queue.take()
    if kept is None:
        return False
    assert kept.flac is not None
    sound = digest(kept.flac)
    return await queue.answer(kept.id, provider="cloud", transcript="words", reply=sound)


async def work(path: Path, seed: int) -> None:
    """Keep, answer and deliver without end."""
    chance = random.Random(seed)
    _, queue = await opened(path)
    for gone in await queue.recover(crashed=True):
        tell("gone", gone.id)
    await deliver_all(queue)
    while True:
        for _ in range(chance.randrange(4)):
            if await queue.pending() < MOST_WAITING:
                sound = chance.randbytes(chance.randrange(1, 20_000))
                tell("kept", await queue.add("default", flac=sound, duration_ms=1), digest(sound))
        for _ in range(chance.randrange(4)):
            await answer_one(queue)
        if chance.random() < 0.7:
            await deliver_all(queue)


async def finish(path: Path) -> None:
    """Answer and deliver what is left, as a device does that is left alone."""
    database, queue = await opened(path)
    for gone in await queue.recover(crashed=True):
        tell("gone", gone.id)
    await queue.retry()
    while await answer_one(queue):
        pass
    await deliver_all(queue)
    await database.close()


def one_life(path: Path, seed: int, life_s: float) -> None:
    pid = os.fork()
    if pid == 0:
        asyncio.run(work(path, seed))
        os._exit(0)
    ended = signal.sigtimedwait({signal.SIGCHLD}, life_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    tell("ended" if ended else "killed")


def main(path: Path, rounds: int, seed: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    chance = random.Random(seed)
    for number in range(rounds):
        one_life(path, seed + number, chance.uniform(0.0, LONGEST_LIFE_S))
        # One that was killed before it was waited for leaves its signal behind.
        signal.sigtimedwait({signal.SIGCHLD}, 0)
    asyncio.run(finish(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
