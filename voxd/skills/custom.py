"""Runs the owner's own commands: a program, a web address or a sentence, with a limit on time and output."""

import asyncio
import json
import logging
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from voxd.children import ChildProcess
from voxd.config.commands import Command, HttpAction, ReplyAction, ShellAction
from voxd.errors import DeadlineExceeded, InvalidRequest, LocalEngineError, VoxdError
from voxd.skills.understanding.clock_times import certain_hour
from voxd.skills.understanding.numbers import ClockTime

_log = logging.getLogger(__name__)

MAX_OUTPUT_BYTES = 65_536
"""What a program or a server says beyond this is not read."""

MAX_SPOKEN = 300
"""Longer answers (characters) are not spoken."""

_SLOT = re.compile(r"\{([a-z0-9_]+)\}")
_KEPT_ENVIRONMENT = ("PATH", "LANG", "TZ", "HOME")


def format_slot(value: Any) -> str:
    """Return a slot's value as a program gets it: seconds, HH:MM, digits or words."""
    if isinstance(value, ClockTime):
        hour = certain_hour(value)
        hour = value.hour if hour is None else hour % 24
        return f"{hour:02}:{value.minute:02}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def fill_slots(template: str, slots: Mapping[str, Any], encode: Callable[[str], str] = str) -> str:
    """Return ``template`` with each {slot} replaced once by its encoded value, "" where nothing was said."""
    return _SLOT.sub(lambda match: encode(format_slot(slots.get(match[1], ""))), template)


def fill_json(template: str, slots: Mapping[str, Any]) -> bytes:
    """Return a JSON body with its slots escaped. Raises `InvalidRequest` when the result is not JSON."""
    body = fill_slots(template, slots, lambda value: json.dumps(value)[1:-1])
    try:
        json.loads(body)
    except ValueError as error:
        raise InvalidRequest(
            "the body of the command is not JSON", hint="put quotes around {slot} in its body"
        ) from error
    return body.encode()


async def run(
    command: Command, slots: Mapping[str, Any], failures: MutableMapping[str, str] | None = None
) -> str:
    """Do what ``command`` says; returns what to say, which is the reason when it did not work.

    ``failures`` then holds that reason under its name, until it works.
    """
    failures = {} if failures is None else failures
    action = command.action
    name = re.sub(r"[-_]+", " ", command.name)
    try:
        match action:
            case ReplyAction():
                return fill_slots(action.text, slots)
            case ShellAction():
                said = await _within(action.timeout_s, run_program(action, slots))
            case HttpAction():
                said = await _within(action.timeout_s, call_address(action, slots))
    except DeadlineExceeded:
        _log.warning("the command %s took longer than its time limit", command.name)
        failures[command.name] = "it took longer than its time limit"
        return f"Sorry, the command {name} took too long."
    except VoxdError as error:
        _log.warning("the command %s failed: %s; %s", command.name, error, error.hint)
        failures[command.name] = str(error)
        return f"Sorry, the command {name} failed: {error}."
    failures.pop(command.name, None)
    return said or fill_slots(command.reply, slots)


async def _within(timeout_s: float, work: Any) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            said: str = await work
            return said
    except TimeoutError as error:
        raise DeadlineExceeded(f"no answer in {timeout_s:g} s") from error


async def run_program(action: ShellAction, slots: Mapping[str, Any]) -> str:
    """Run the program and return the first line it prints, "" if there is none or it is too long.

    Every slot stays inside its own argument and no shell sees it. The program gets four environment
    variables, no input and a process group of its own, which is killed when this is cancelled. Raises
    `LocalEngineError` when it cannot be started or fails.
    """
    argv = [fill_slots(argument, slots) for argument in action.command]
    environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
    try:
        child = await ChildProcess.start(
            argv[0], argv, stdout=PIPE, stderr=DEVNULL, env=environment, own_group=True
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its arguments are not valid"
        raise LocalEngineError(f"the program could not be started, {reason.lower()}") from error
    try:
        output = await _read_capped(child.stdout)
        status = await child.wait()
    finally:
        await child.close()
    if status != 0:
        raise LocalEngineError(f"the program ended with error {status}")
    first = output.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    return first if len(first) <= MAX_SPOKEN else ""


async def _read_capped(stdout: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stdout.read(8192):
        kept += chunk[: MAX_OUTPUT_BYTES - len(kept)]
    return kept


async def call_address(action: HttpAction, slots: Mapping[str, Any]) -> str:
    """Call the web address and return its answer if that is short plain text, "" otherwise.

    Redirects are not followed, proxies and credentials of the environment are not used. Raises
    `ConfigError` for a missing secret, `InvalidRequest`, `LocalEngineError` and `DeadlineExceeded`.
    """
    import httpx  # costs 18 MB, so a device without such commands never loads it

    headers = {name: value.reveal() for name, value in action.headers.items()}
    content = fill_json(action.body, slots) if action.body else None
    if content is not None and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    url = fill_slots(action.url, slots, lambda value: quote(value, safe=""))
    try:
        async with (
            httpx.AsyncClient(timeout=action.timeout_s, follow_redirects=False, trust_env=False) as client,
            client.stream(action.method, url, headers=headers, content=content) as response,
        ):
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk[: MAX_OUTPUT_BYTES - len(body)]
                if len(body) >= MAX_OUTPUT_BYTES:
                    break
    except httpx.TimeoutException as error:
        raise DeadlineExceeded("the server did not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise LocalEngineError("the server could not be reached") from error
    if not response.is_success:
        raise LocalEngineError(f"the server answered with status {response.status_code}")
    if not response.headers.get("content-type", "").startswith("text/plain"):
        return ""
    text = body.decode("utf-8", "replace").strip()
    return text if len(text) <= MAX_SPOKEN else ""
