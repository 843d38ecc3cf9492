"""Vendors of a fixed speed in a process of their own: a language model and a voice, whose work is not ours.

``python -m scripts.benchmarks.paced DIRECTORY``: prints its ports, and for each line on stdin when it wrote
what. The second port speaks TLS, as from far away: with a certificate of ``DIRECTORY/ca.pem``.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from scripts.benchmarks.far import far
from scripts.benchmarks.options import ROOT
from tests.rig.certificates import authority

FIRST_TOKEN_S = 0.2
TOKEN_S = 0.02
CLAUSE = "The first clause is short,"
REST = " and the rest of the answer takes its time."
SAMPLE_RATE_HZ = 24_000
_SOUND = bytes(2 * SAMPLE_RATE_HZ)
_PIECE_BYTES = 4800


class Wrote(msgspec.Struct):
    """When, by CLOCK_MONOTONIC, the word behind each first clause was written: before it, it cannot be known
    that the clause is complete."""

    clauses_s: list[float]


class Paced:
    """The running vendors; requests under ``/broken`` are answered with 500.

    At ``far_url`` they speak TLS with a certificate of ``ca_file``, and are `ROUND_TRIP_S` away.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self._process = process
        near, away = map(int, self._line().split())
        self.url = f"http://127.0.0.1:{near}"
        self.far_url = f"https://127.0.0.1:{away}"
        self.ca_file = str(directory / "ca.pem")

    def wrote(self) -> Wrote:
        """Return what was written since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"wrote\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Wrote)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def paced(directory: Path) -> Iterator[Paced]:
    """Run them; they keep their certificates in ``directory``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.benchmarks.paced", str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            yield Paced(process, directory)
        finally:
            process.kill()


class _Server:
    def __init__(self) -> None:
        self.wrote = Wrote([])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while top := await reader.readuntil(b"\r\n\r\n"):
                lines = top.decode("latin-1").split("\r\n")
                length = next(
                    (int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0
                )
                await reader.readexactly(length)
                await self._answer(lines[0].split()[1], writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path.startswith("/broken"):
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        elif "chat" in path:
            await self._think(writer)
        else:
            await self._speak(writer)
        await writer.drain()

    async def _think(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("text/event-stream"))
        await asyncio.sleep(FIRST_TOKEN_S)
        for number, token in enumerate(_tokens(CLAUSE + REST)):
            if number:
                await asyncio.sleep(TOKEN_S)
            _chunk(writer, _event({"content": token}))
            await writer.drain()
            if number == len(_tokens(CLAUSE)):
                self.wrote.clauses_s.append(time.monotonic())
        _chunk(writer, _event({}, "stop") + b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("audio/pcm"))
        for at in range(0, len(_SOUND), _PIECE_BYTES):
            _chunk(writer, _SOUND[at : at + _PIECE_BYTES])
        writer.write(b"0\r\n\r\n")


def _tokens(text: str) -> list[str]:
    return [word if number == 0 else f" {word}" for number, word in enumerate(text.split())]


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


def _head(content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _serve(directory: Path) -> None:
    server = _Server()
    near = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    tls = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=authority(directory).server())
    away = await far(_port(tls))
    print(_port(near), _port(away), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(msgspec.json.encode(server.wrote).decode(), flush=True)
        server.wrote = Wrote([])


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
