"""Tools a model may call: made from typed functions or JSON Schema, validated, run with a time limit."""

import asyncio
import functools
import inspect
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb
from typing import Any

import msgspec

from voxd.errors import InvalidRequest, VoxdError, third_party
from voxd.providers.arguments import check_arguments, from_function, from_schema, parse_docstring
from voxd.providers.settings import ToolSpec
from voxd.tasks import in_thread

DEFAULT_TIMEOUT_S = 20.0
"""The time limit of a tool without its own."""

MAX_OUTPUT_CHARS = 16_000
"""A longer result is cut: every later turn would pay for it again."""

MAX_TOOL_ROUNDS = 8
"""How many replies of one turn may call tools, unless ``max_tool_rounds`` sets another number."""

MAX_SAME_CALLS = 3
"""How many replies of one turn may consist of calls that were all made before, with the same arguments."""

NOT_RUN = "not run: too many tool calls for one question; answer now with what you know"
"""The result of a call beyond the limit, for the model."""

MAX_THREADS = 16
"""Synchronous tools that run at the same time; one that hangs after its time limit counts until it ends."""

# OpenAI's rule for the name of a function, the narrowest of all vendors.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool; ``output`` is the text for the model, of the error when not ``ok``."""

    ok: bool
    output: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may call.

    ``parameters`` is a JSON Schema of type object. ``handler`` takes its properties by keyword and returns
    anything JSON can hold, or an awaitable of it; a synchronous one runs in a thread. ``arguments_type`` is
    the type they are converted to first, by default the one ``parameters`` describes. ``acts`` is False for
    one without effects, which may be called twice. Raises `InvalidRequest` for a name or parameters
    that vendors refuse.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    handler: Callable[..., Any]
    timeout_s: float = DEFAULT_TIMEOUT_S
    arguments_type: type[msgspec.Struct] | None = None
    acts: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            msg = f"invalid name of a tool: {self.name!r}"
            raise InvalidRequest(msg, hint="use up to 64 letters, digits, _ and -")
        if self.arguments_type is None:
            # The dataclass is frozen.
            object.__setattr__(self, "arguments_type", from_schema(self.name, self.parameters))

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(self.name, self.description, dict(self.parameters))


def tool(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    acts: bool = True,
) -> Tool:
    """Return ``function`` as a tool, its parameters from the signature and their meaning from the docstring.

    Parameters may be of any type msgspec supports (int, float, str, bool, Literal, Enum, list, Optional …);
    those with a default are optional. Raises `InvalidRequest` when one has no type or cannot be named.
    """
    name = name or function.__name__
    summary, meanings = parse_docstring(inspect.getdoc(function) or "")
    arguments, parameters = from_function(function, name, meanings)
    return Tool(name, description or summary, parameters, function, timeout_s, arguments, acts)


class NextRound(StrEnum):
    """What follows a reply that calls tools."""

    RUN = "run"
    ANSWER_WITHOUT_TOOLS = "answer_without_tools"
    STOP = "stop"


class ToolRounds:
    """Bounds the tool calls of one turn; one object for each turn.

    A model that answers every result with another call would go on for ever, at the user's cost.
    """

    def __init__(self, max_rounds: int = MAX_TOOL_ROUNDS) -> None:
        self.run = 0
        """How many rounds were run."""
        self._max_rounds = max_rounds
        self._made: dict[tuple[str, Any], int] = {}
        self._is_over = False

    def next_round(self, calls: Iterable[tuple[str, Mapping[str, Any] | str]]) -> NextRound:
        """Return what to do with ``calls``, the names and arguments of all calls of one reply.

        ``ANSWER_WITHOUT_TOOLS``: run none of them, and request one more reply without tools. ``STOP``: that
        reply calls tools too, so the turn ends.
        """
        if self._is_over:
            return NextRound.STOP
        made = {(name, _comparable(arguments)) for name, arguments in calls}
        times = min((self._made.get(each, 0) for each in made), default=0)
        if self.run >= self._max_rounds or times >= MAX_SAME_CALLS:
            self._is_over = True
            return NextRound.ANSWER_WITHOUT_TOOLS
        self.run += 1
        self._made |= {each: self._made.get(each, 0) + 1 for each in made}
        return NextRound.RUN


def _comparable(arguments: Mapping[str, Any] | str) -> Any:
    """Return ``arguments`` in one form: neither the order of the keys nor white space makes a difference."""
    try:
        found = msgspec.json.decode(arguments or "{}") if isinstance(arguments, str) else arguments
        return msgspec.json.encode(found, order="sorted")
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):
        # Malformed text, or an object of a third party's provider that is not JSON.
        return str(arguments)


class ToolBox:
    """The tools of a session. A failure is reported to the model as text and never raised."""

    def __init__(self, tools: Iterable[Tool] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `InvalidRequest` when two tools have the same name."""
        self._tools: dict[str, Tool] = {}
        self._clock = clock
        self._threads: set[object] = set()
        for each in tools:
            if each.name in self._tools:
                raise InvalidRequest(f"two tools are named {each.name}")
            self._tools[each.name] = each

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def acts(self, name: str) -> bool:
        """Whether tool ``name`` has effects, so that a call must not be repeated."""
        return name in self._tools and self._tools[name].acts

    def specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools as a model sees them."""
        return tuple(each.spec for each in self._tools.values())

    async def run(
        self, name: str, arguments: Mapping[str, Any] | str, timeout: float | None = None
    ) -> ToolResult:
        """Run tool ``name``; ``arguments`` is an object or its JSON text, ``timeout`` in seconds."""
        begun = self._clock()
        try:
            output = await self._output(name, arguments, timeout)
            ok = True
        except VoxdError as error:
            output, ok = f"error: {error}", False
        return ToolResult(ok, _capped(output), (self._clock() - begun) * 1000)

    async def _output(self, name: str, arguments: Mapping[str, Any] | str, timeout: float | None) -> str:
        each = self._tools.get(name)
        if each is None:
            raise InvalidRequest(f"unknown tool {name}; use one of {', '.join(self._tools) or 'none'}")
        keywords = _checked(each, arguments)
        limit_s = each.timeout_s if timeout is None else timeout
        limit = asyncio.timeout(limit_s)

        def failure_of(error: Exception) -> InvalidRequest:
            # The tool may raise a TimeoutError of its own: only an expired limit is ours.
            if isinstance(error, TimeoutError) and limit.expired():
                return InvalidRequest(f"{name} did not finish within {limit_s:g} s")
            return InvalidRequest(f"{name} failed: {type(error).__name__}: {error}")

        # The model gets the error and can explain it or try again.
        with third_party(failure_of):
            async with limit:
                return as_text(await self._called(each, keywords))

    async def _called(self, each: Tool, keywords: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(each.handler):
            return await each.handler(**keywords)
        # A thread cannot be cancelled: a tool that hangs would take another one at every call.
        if len(self._threads) >= MAX_THREADS:
            raise InvalidRequest("too many tool calls are still running")
        thread = object()
        self._threads.add(thread)
        work = functools.partial(each.handler, **keywords)
        result = await in_thread(work, name=each.name, on_end=lambda: self._threads.discard(thread))
        # A plain function may return a coroutine, as a `functools.partial` of an async one does.
        return await result if inspect.isawaitable(result) else result


def _checked(each: Tool, arguments: Mapping[str, Any] | str) -> Mapping[str, Any]:
    try:
        if isinstance(arguments, str):
            arguments = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        assert each.arguments_type is not None
        return check_arguments(each.arguments_type, arguments)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"invalid arguments of {each.name}: {error}") from error


def as_text(value: Any) -> str:
    """Return a tool's return value as text for the model: text unchanged, None as "done", else JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "done"
    return msgspec.json.encode(value).decode()


def _capped(text: str) -> str:
    if len(text) <= MAX_OUTPUT_CHARS:
        return text
    return f"{text[:MAX_OUTPUT_CHARS]} … ({len(text) - MAX_OUTPUT_CHARS} more characters were cut)"


def describe_exception(error: BaseException) -> str:
    """Return the type of ``error`` and where it was raised: "KeyError in vendor.py, line 12".

    For exceptions of third-party code.
    """
    # Their message is left out: it may hold the user's words.
    frames = extract_tb(error.__traceback__)
    kind = type(error).__name__
    return f"{kind} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else kind
