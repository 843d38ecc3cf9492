"""The two fakes behind one face, so that one table of faults is played on both."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from websockets.asyncio.server import ServerConnection

from tests.servers import gemini_live, openai_realtime
from tests.servers.gemini_live import GeminiLive
from tests.servers.gemini_steps import END, Message, Until, heard, said, sound
from tests.servers.openai_realtime import RealtimeServer, Reply, Script, realtime_server
from voxd.net.websocket import Deadlines
from voxd.providers.base import BaseProvider
from voxd.providers.vendors.google.realtime import GeminiProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider

SOON = Deadlines(open_s=1.0, answer_s=0.3, send_s=0.3, active_s=0.15, idle_s=0.3, close_s=0.1)
"""Long enough for a loopback on a busy machine, and short enough to be waited for."""

PCM = b"\x01\x00" * 2400
"""A tenth of a second at 24 kHz."""

TASKS = {openai_realtime.TASK, gemini_live.TASK}


class Vendor(Protocol):
    """A fake server, and a provider that speaks to it."""

    port: int

    def make(self) -> BaseProvider: ...

    async def asked(self) -> ServerConnection:
        """Wait for the question and return the connection it came over."""
        ...

    def will_answer(self) -> None:
        """Answer from now on: "Noon", a tenth of a second of sound."""
        ...

    def connections(self) -> int:
        """How many there have been."""
        ...


@dataclass
class OpenAi:
    server: RealtimeServer

    @property
    def port(self) -> int:
        return self.server.port

    def make(self) -> BaseProvider:
        return OpenAIProvider({"api_key": openai_realtime.KEY, "endpoint": self.server.url}, SOON)

    async def asked(self) -> ServerConnection:
        await self.server.received("response.create")
        return self.server.peer.socket

    def will_answer(self) -> None:
        self.server.script.deaf_to.clear()
        self.server.script.replies = [Reply("Noon.", sound_ms=100)]

    def connections(self) -> int:
        return len(self.server.connections)


@dataclass
class Gemini:
    server: GeminiLive

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def make(self) -> BaseProvider:
        return GeminiProvider({"api_key": gemini_live.KEY, "endpoint": self.server.url}, SOON)

    async def asked(self) -> ServerConnection:
        served = await self.server.connection()
        async with served.arrived:
            await served.arrived.wait_for(lambda: any(map(_asks, served.received)))
        return served.socket

    def will_answer(self) -> None:
        self.server.replies.clear()
        self.server.replies.append((heard("time"), sound(PCM), said("Noon."), *END))

    def connections(self) -> int:
        return len(self.server.connections)


@contextlib.asynccontextmanager
async def vendor(name: str, *, begins: bool = False) -> AsyncIterator[Vendor]:
    """Run the fake ``name``: it never answers, or ``begins`` to and never goes on."""
    if name == "openai":
        script = Script(replies=[Reply("One two three.", sound_ms=2000, hold_after=5)])
        script.deaf_to = set() if begins else {"response.create"}
        async with realtime_server(script) as openai:
            yield OpenAi(openai)
        return
    never = Until(asyncio.Event())
    async with GeminiLive((sound(PCM), never) if begins else (never,)) as gemini:
        yield Gemini(gemini)


def _asks(message: Message) -> bool:
    typed = message.get("clientContent", {}).get("turnComplete")
    return bool(typed) or "activityEnd" in message.get("realtimeInput", {})


def sockets_to(port: int) -> int:
    """How many open sockets of this process are connected to ``port`` of the loopback."""
    found = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(fd))) as each:
                    peer = each.getpeername()
                found += isinstance(peer, tuple) and peer[1] == port
    return found


def our_tasks() -> set[str]:
    """The names of all tasks but the fakes' own and the one that asks."""
    current = asyncio.current_task()
    return {
        task.get_name()
        for task in asyncio.all_tasks()
        if task is not current and task.get_name() not in TASKS and not _is_the_servers(task)
    }


def _is_the_servers(task: "asyncio.Task[object]") -> bool:
    """Whether the library's server started it, before the fake could give it a name."""
    code = getattr(task.get_coro(), "__qualname__", "")
    return code.startswith(("Server.", "ServerConnection."))
