"""Looking names up: in time, shared, cached, and without a delay for others."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from voxd.net import dns as resolver
from voxd.net.dns import Addresses, Resolver

PATIENCE_S = 5.0
HERE: Addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]
THERE: Addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 443))]

Ask = Callable[[str], Addresses]


class NameServer:
    """What `getaddrinfo` asks: silent for names that are `stuck` until the test is over."""

    def __init__(self) -> None:
        self.answers: dict[str, Addresses | Exception] = {}
        self.asked: list[str] = []
        self.stuck: set[str] = set()
        self.over = threading.Event()
        self.began = threading.Semaphore(0)

    def getaddrinfo(self, host: str, port: int, **_: object) -> Addresses:
        self.asked.append(host)
        self.began.release()
        if host in self.stuck:
            self.over.wait()
        found = self.answers.get(host, HERE)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    names = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.over.set()


async def test_a_name_is_looked_up(names: NameServer) -> None:
    assert await Resolver().look_up("vendor.example", 443) == HERE


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", [("127.0.0.1", 80)]),
        ("::1", [("::1", 80, 0, 0)]),
        ("localhost", [("127.0.0.1", 80), ("::1", 80, 0, 0)]),
    ],
)
async def test_an_invalid_name_causes_no_lookup(
    names: NameServer, host: str, addresses: list[tuple[object, ...]]
) -> None:
    assert [found[4] for found in await Resolver().look_up(host, 80)] == addresses
    assert names.asked == []


async def test_a_silent_name_server_costs_the_deadline_and_no_more(names: NameServer) -> None:
    names.stuck.add("slow.example")
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TimeoutError):
            await Resolver().look_up("slow.example", 443, within_s=0.05)


async def test_the_address_that_was_good_is_used_while_the_name_server_is_silent(names: NameServer) -> None:
    ours = Resolver()
    await ours.look_up("vendor.example", 443)
    names.stuck.add("vendor.example")
    async with asyncio.timeout(PATIENCE_S):
        assert await ours.look_up("vendor.example", 443, within_s=0.05) == HERE


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_the_address_that_was_good_is_used_when_the_name_is_not_found(
    names: NameServer, code: int
) -> None:
    ours = Resolver()
    await ours.look_up("vendor.example", 443)
    names.answers["vendor.example"] = socket.gaierror(code, "no")
    assert await ours.look_up("vendor.example", 443) == HERE
    with pytest.raises(socket.gaierror):
        await Resolver().look_up("vendor.example", 443)


async def test_a_new_address_replaces_the_old_one(names: NameServer) -> None:
    ours = Resolver()
    await ours.look_up("vendor.example", 443)
    names.answers["vendor.example"] = THERE
    assert await ours.look_up("vendor.example", 443) == THERE
    names.answers["vendor.example"] = socket.gaierror(socket.EAI_AGAIN, "no")
    assert await ours.look_up("vendor.example", 443) == THERE


async def test_an_answer_that_comes_too_late_is_remembered(names: NameServer) -> None:
    ours = Resolver()
    names.stuck.add("slow.example")
    waiting = asyncio.create_task(ours.look_up("slow.example", 443, within_s=0.05))
    with pytest.raises(TimeoutError):
        await waiting
    again = asyncio.create_task(ours.look_up("slow.example", 443, within_s=PATIENCE_S))
    await asyncio.sleep(0)
    names.over.set()
    assert await again == HERE
    assert names.asked == ["slow.example"], "the second asker shares the question"


async def test_two_stuck_names_do_not_hold_up_addresses_or_other_users_of_threads(names: NameServer) -> None:
    ours = Resolver()
    names.stuck |= {f"slow{n}.example" for n in range(8)}
    stuck = [
        asyncio.create_task(ours.look_up(f"slow{n}.example", 443, within_s=PATIENCE_S)) for n in range(8)
    ]
    await asyncio.to_thread(lambda: [names.began.acquire(timeout=PATIENCE_S) for _ in range(2)])
    assert len(names.asked) == resolver.WORKERS, "no more than two threads are ever stuck"
    assert (await ours.look_up("127.0.0.1", 80))[0][4] == ("127.0.0.1", 80)
    assert await asyncio.to_thread(lambda: "free") == "free"
    names.over.set()
    assert await asyncio.gather(*stuck) == [HERE] * 8


async def test_names_without_a_waiting_caller_are_not_looked_up(names: NameServer) -> None:
    ours = Resolver()
    names.stuck |= {"slow0.example", "slow1.example"}
    asks = [ours.look_up(f"slow{n}.example", 443, within_s=0.05) for n in range(6)]
    problems = await asyncio.gather(*asks, return_exceptions=True)
    assert {type(problem) for problem in problems} == {TimeoutError}
    names.over.set()
    assert await ours.look_up("vendor.example", 443) == HERE
    assert sorted(names.asked) == ["slow0.example", "slow1.example", "vendor.example"]


async def test_a_crowd_of_names_is_refused_at_once(names: NameServer) -> None:
    ours = Resolver()
    total = resolver.MOST_WAITING + resolver.WORKERS + 5
    names.stuck |= {f"slow{n}.example" for n in range(total)}
    asks = [ours.look_up(f"slow{n}.example", 443, within_s=0.2) for n in range(total)]
    problems = await asyncio.gather(*asks, return_exceptions=True)
    assert sum("too many" in str(problem) for problem in problems) >= 5


async def test_an_impossible_name_is_a_distinct_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnicodeError):
        await Resolver().look_up("a" * 70 + ".example", 443)


async def test_only_so_many_addresses_are_remembered(names: NameServer) -> None:
    ours = Resolver()
    for n in range(resolver.MOST_KNOWN + 1):
        await ours.look_up(f"host{n}.example", 443)
    for host in ("host0.example", "host1.example"):
        names.answers[host] = socket.gaierror(socket.EAI_AGAIN, "no")
    with pytest.raises(socket.gaierror):
        await ours.look_up("host0.example", 443)
    assert await ours.look_up("host1.example", 443) == HERE


def test_a_stuck_look_up_does_not_keep_a_program_from_ending() -> None:
    program = """
import asyncio, socket, threading
from voxd.net.dns import Resolver
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
async def main():
    try:
        await Resolver().look_up("slow.example", 443, within_s=0.05)
    except TimeoutError:
        print("in time")
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "in time"
