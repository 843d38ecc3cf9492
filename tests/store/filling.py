"""A process that keeps utterances until its disk takes no more, and prints what was stored.

Run as ``python -m tests.store.filling FILE FAULT``: ``full`` (the disk is small), ``limit`` (files may not
grow past a limit, a write error that is not "disk full"), or ``none``. It prints ``kept ID``,
``refused CODE``, ``problem TEXT``, then whether it takes one more when there is room again (``healed ID``),
and at last ``found ID`` for everything that is there after a new start.
"""

import asyncio
import resource
import sys
from pathlib import Path

from tests.store.dying import opened
from voxd.errors import StoreError
from voxd.store import queue as store_queue
from voxd.store.queue import UtteranceQueue

ATTEMPTS = 60
SOUND = bytes(range(256)) * 80
LIMIT_BYTES = 400_000


async def fill(queue: UtteranceQueue) -> None:
    for _ in range(ATTEMPTS):
        try:
            print("kept", await queue.add("default", flac=SOUND, duration_ms=1))
        except StoreError as error:
            print("refused", error.code)


async def main(path: Path, fault: str) -> None:
    store_queue.RESERVE_BYTES = -1_000_000_000  # the disk itself shall say no
    database, queue = await opened(path)
    ballast = path.with_name("ballast")
    ballast.write_bytes(bytes(LIMIT_BYTES))
    if fault == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    await fill(queue)
    print("problem", database.problem)
    ballast.unlink()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("healed", await queue.add("default", flac=SOUND, duration_ms=1), database.problem)
    await database.close()
    await look(path)


async def look(path: Path) -> None:
    database, queue = await opened(path)
    for entry in await queue.entries():
        print("found", entry.id)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
