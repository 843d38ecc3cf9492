"""A model hub on loopback that can be slow, forgetful, wrong and rude."""

import asyncio
import hashlib
from dataclasses import dataclass, field

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Hub:
    """Answers GET /NAME with `CONTENT`; the fields say how badly."""

    ranges: bool = True
    cut_at: list[int] = field(default_factory=list)
    stall_at: int = -1
    status: list[int] = field(default_factory=list)
    etag: str = '"one"'
    content: bytes = CONTENT
    location: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> "Hub":
        self._release = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = request.split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                self.asked.append(headers)
                if not await self._answer(writer, headers):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, headers: dict[str, str]) -> bool:
        status = self.status.pop(0) if self.status else 200
        if status != 200:
            place = f"Location: {self.location}\r\n" if 300 <= status < 400 else ""
            writer.write(f"HTTP/1.1 {status} No\r\n{place}Content-Length: 0\r\n\r\n".encode())
            return True
        start = 0
        same = headers.get("if-range", self.etag) == self.etag
        if self.ranges and same and "range" in headers:
            start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
        body = self.content[start:]
        head = "206 Partial" if start else "200 OK"
        place = (
            f"Content-Range: bytes {start}-{len(self.content) - 1}/{len(self.content)}\r\n" if start else ""
        )
        writer.write(
            f"HTTP/1.1 {head}\r\nETag: {self.etag}\r\n{place}Content-Length: {len(body)}\r\n\r\n".encode()
        )
        if self.stall_at >= 0:
            writer.write(body[: self.stall_at])
            await writer.drain()
            await self._release.wait()
            return False
        if self.cut_at:
            writer.write(body[: self.cut_at.pop(0)])
            await writer.drain()
            return False
        writer.write(body)
        await writer.drain()
        return True
