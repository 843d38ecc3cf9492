"""The owner's commands: slots cannot break out, limits hold, and failures are announced."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from voxd.config.commands import Command, HttpAction, ReplyAction, ShellAction
from voxd.config.secrets import Secret
from voxd.errors import InvalidRequest
from voxd.skills.custom import MAX_OUTPUT_BYTES, fill_json, fill_slots, format_slot, run
from voxd.skills.understanding.numbers import ClockTime

Action = ShellAction | HttpAction | ReplyAction


def command(action: Action) -> Command:
    return Command(name="kitchen_light", sentences=("x",), action=action)


def shell(*argv: str, timeout_s: float = 5.0) -> Command:
    return command(ShellAction(command=argv, timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("kitchen", "kitchen"),
        (5, "5"),
        (300.0, "300"),
        (1.5, "1.5"),
        (ClockTime(7, 5, "pm"), "19:05"),
        (ClockTime(12, 0, "am"), "00:00"),
        (ClockTime(12, 0, "24"), "12:00"),
        (ClockTime(12, 0, "night"), "00:00"),
        (ClockTime(7, 30), "07:30"),
    ],
)
def test_values_reach_programs_as_plain_text(value: Any, expected: str) -> None:
    assert format_slot(value) == expected


def test_a_value_is_never_filled_again() -> None:
    assert fill_slots("{a}-{b}-{c}", {"a": "{b}", "b": "x"}) == "{b}-x-"


def test_values_are_escaped_in_json() -> None:
    body = fill_json('{"room": "{room}", "level": {level}}', {"room": 'a"b\\c', "level": 5})
    assert json.loads(body) == {"room": 'a"b\\c', "level": 5}


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        fill_json('{"room": {room}}', {"room": "kitchen"})


async def test_a_reply_is_said() -> None:
    assert (
        await run(command(ReplyAction(text="The {room} is fine.")), {"room": "attic"}) == "The attic is fine."
    )


async def test_the_first_line_of_a_program_is_said() -> None:
    assert await run(shell("printf", "%s\\nmore\\n", "{room} is on"), {"room": "lamp"}) == "lamp is on"


async def test_a_silent_program_is_answered_with_the_reply_of_the_command() -> None:
    assert await run(shell("true"), {}) == "Done."


async def test_a_slot_is_one_argument_and_no_shell_reads_it() -> None:
    said = await run(shell("printf", "[%s]", "{what}"), {"what": "a b; echo $HOME `id` | cat"})
    assert said == "[a b; echo $HOME `id` | cat]"


async def test_a_program_sees_little_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    said = await run(shell("sh", "-c", "env | cut -d= -f1 | sort | tr '\\n' ' '"), {})
    assert "API_KEY" not in said
    assert "PATH" in said


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("false",), "Sorry, the command kitchen light failed: the program ended with error 1."),
        (
            ("/nowhere/at/all",),
            "Sorry, the command kitchen light failed: "
            "the program could not be started, no such file or directory.",
        ),
    ],
)
async def test_failures_are_said(argv: tuple[str, ...], expected: str) -> None:
    assert await run(shell(*argv), {}) == expected


async def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    # Both processes hold the pipe open for writing; end of file comes when both are gone.
    said = await run(shell("sh", "-c", f"exec 3>{fifo}; sleep 600 & sleep 600", timeout_s=0.5), {})
    assert said == "Sorry, the command kitchen light took too long."
    os.set_blocking(reader, True)
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(os.read, reader, 1) == b""
    os.close(reader)


async def test_children_a_program_leaves_behind_are_killed_too(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    script = f"exec 3>{fifo}; sleep 600 >/dev/null & echo started"
    assert await run(shell("sh", "-c", script), {}) == "started"
    os.set_blocking(reader, True)
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(os.read, reader, 1) == b""
    os.close(reader)


async def test_endless_output_is_bounded() -> None:
    said = await run(shell("head", "-c", str(MAX_OUTPUT_BYTES * 20), "/dev/zero"), {})
    assert said == "Done."


Answer = Callable[[bytes], bytes]
Serve = Callable[[Answer], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server on loopback that gives each request to a function; yields its address."""
    servers: list[asyncio.Server] = []

    async def start(answer: Answer) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            for line in request.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    request += await reader.readexactly(int(line.split(b":")[1]))
            reply = answer(request)
            if not reply:
                await reader.read()
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def response(status: str = "200 OK", kind: str = "text/plain", body: bytes = b"The light is on.") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Location: /elsewhere\r\nConnection: close\r\n\r\n".encode() + body


async def test_an_address_is_called_with_escaped_values_and_its_answer_said(serve: Serve) -> None:
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return response()

    action = HttpAction(
        url=await serve(answer) + "/rooms/{room}",
        body='{"room": "{room}"}',
        headers={"Authorization": Secret("Bearer key")},
    )
    assert await run(command(action), {"room": 'a/"b'}) == "The light is on."
    [request] = seen
    assert request.startswith(b"POST /rooms/a%2F%22b HTTP/1.1")
    assert b"Authorization: Bearer key" in request
    assert b"Content-Type: application/json" in request
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"room": 'a/"b'}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (response(kind="application/json", body=b"{}"), "Done."),
        (response(body=b"x" * 2000), "Done."),
        (response(body=b"x" * 3_000_000), "Done."),
        (
            response("302 Found"),
            "Sorry, the command kitchen light failed: the server answered with status 302.",
        ),
        (
            response("500 Oops"),
            "Sorry, the command kitchen light failed: the server answered with status 500.",
        ),
        (b"nonsense\r\n\r\n", "Sorry, the command kitchen light failed: the server could not be reached."),
    ],
)
async def test_what_servers_answer(serve: Serve, reply: bytes, expected: str) -> None:
    action = HttpAction(url=await serve(lambda request: reply), method="GET")
    assert await run(command(action), {}) == expected


async def test_a_server_that_sends_nothing_times_out(serve: Serve) -> None:
    action = HttpAction(url=await serve(lambda request: b""), method="GET", timeout_s=0.3)
    assert await run(command(action), {}) == "Sorry, the command kitchen light took too long."


async def test_an_unreachable_address_is_announced(serve: Serve) -> None:
    action = HttpAction(url="http://127.0.0.1:1/", method="GET")
    assert await run(command(action), {}) == (
        "Sorry, the command kitchen light failed: the server could not be reached."
    )


async def test_a_missing_secret_is_said(serve: Serve) -> None:
    action = HttpAction(
        url=await serve(lambda request: response()),
        headers={"Authorization": Secret(None, origin="env KEY", problem="it is not set")},
    )
    assert "is missing" in await run(command(action), {})
