"""The fake vendor in a process of its own: its work is not counted as ours. Times are CLOCK_MONOTONIC."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from scripts.benchmarks.options import ROOT
from tests.servers.openai_realtime import KEY, Reply, Script, realtime_server
from voxd.providers.base import BaseProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider

APPEND = "input_audio_buffer.append"
DELTA = "response.output_audio.delta"


class Times(list[dict[str, Any]]):
    """Takes frames as the fake's own list does, but keeps of those of one type only when they came."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.at_s: list[float] = []

    def append(self, frame: dict[str, Any]) -> None:
        """Note when a frame came; nothing else of it is needed."""
        if frame["type"] == self.kind:
            self.at_s.append(time.monotonic())


class Seen(msgspec.Struct):
    """When sound arrived at the vendor and when it left it, in order."""

    arrived_s: list[float]
    left_s: list[float]


class Vendor:
    """The running fake."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.url = self._line().decode().strip()

    def provider(self) -> BaseProvider:
        """Return a new session with it, not connected yet."""
        return OpenAIProvider({"api_key": KEY, "endpoint": self.url})

    def seen(self) -> Seen:
        """Return what it saw since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"seen\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Seen)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def vendor(*, sound_ms: int = 200, delta_ms: int = 20, pace_s: float = 0.0) -> Iterator[Vendor]:
    """Run a fake whose replies are ``sound_ms`` long, in deltas of ``delta_ms``, one every ``pace_s``."""
    numbers = [str(sound_ms), str(delta_ms), str(pace_s)]
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.benchmarks.vendor", *numbers],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            yield Vendor(process)
        finally:
            process.kill()


async def _serve(sound_ms: int, delta_ms: int, pace_s: float) -> None:
    reply = Reply("One two three.", sound_ms=sound_ms, delta_ms=delta_ms, pace_s=pace_s)
    async with realtime_server(Script(replies=[reply])) as server:
        server.frames, server.sent = arrived, left = Times(APPEND), Times(DELTA)
        print(server.url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(msgspec.json.encode(Seen(arrived.at_s, left.at_s)).decode(), flush=True)
            arrived.at_s, left.at_s = [], []


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
