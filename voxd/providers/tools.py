"""Tools a model may call: made from typed functions or JSON Schema, checked, run with a time limit."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import msgspec

from voxd.errors import InvalidRequest, VoxdError
from voxd.providers.docstring import described
from voxd.providers.settings import ToolSpec

DEFAULT_TIMEOUT_S = 20.0
"""A tool that was given no time limit has this one."""

MAX_OUTPUT_CHARS = 16_000
"""A longer result is cut: every later turn would pay for it again."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool came to; ``output`` is the text for the model, of the error when not ``ok``."""

    ok: bool
    output: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may call.

    ``parameters`` is a JSON Schema of type object. ``handler`` takes its properties by keyword and returns
    anything JSON can hold, or an awaitable of it; a synchronous one runs in a thread. ``arguments_type`` is
    the type they are converted to first, None to pass them as they came.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    handler: Callable[..., Any]
    timeout_s: float = DEFAULT_TIMEOUT_S
    arguments_type: type[msgspec.Struct] | None = None

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
) -> Tool:
    """Return ``function`` as a tool, its parameters from the signature and their meaning from the docstring.

    Parameters may be of any type msgspec knows (int, float, str, bool, Literal, Enum, list, Optional …);
    those with a default are optional. Raises `InvalidRequest` when one has no type or cannot be named.
    """
    name = name or function.__name__
    summary, meanings = described(inspect.getdoc(function) or "")
    fields = _fields(function, name, meanings)
    arguments_type = msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=True, kw_only=True)
    try:
        parameters = _schema(arguments_type)
    except TypeError as error:
        raise InvalidRequest(f"the tool {name} has a parameter of an unusable type: {error}") from error
    return Tool(name, description or summary, parameters, function, timeout_s, arguments_type)


def _fields(function: Callable[..., Any], name: str, meanings: Mapping[str, str]) -> list[Any]:
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidRequest(f"the tool {name}: {parameter.name} cannot be given by name")
        if parameter.name not in hints:
            raise InvalidRequest(f"the tool {name}: {parameter.name} has no type", hint="annotate it")
        hint = hints[parameter.name]
        if meaning := meanings.get(parameter.name):
            hint = Annotated[hint, msgspec.Meta(description=meaning)]
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint, _default(parameter.default)))
    return fields


def _default(value: Any) -> Any:
    if isinstance(value, list | dict | set):
        return msgspec.field(default_factory=value.copy)
    return value


def _schema(arguments_type: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of the arguments with everything in its place: not all vendors follow ``$ref``."""
    (root,), definitions = msgspec.json.schema_components([arguments_type])
    whole = _inlined(root, definitions)
    return {
        "type": "object",
        "properties": whole.get("properties", {}),
        "required": whole.get("required", []),
        "additionalProperties": False,
    }


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {**_inlined(definitions[node["$ref"].rsplit("/", 1)[1]], definitions), **rest}
    return {key: _inlined(value, definitions) for key, value in node.items()}


class ToolBox:
    """The tools of a session. A fault of one is told to the model as text and never raised."""

    def __init__(self, tools: Iterable[Tool] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `InvalidRequest` when two tools have the same name."""
        self._tools: dict[str, Tool] = {}
        self._clock = clock
        for each in tools:
            if each.name in self._tools:
                raise InvalidRequest(f"there are two tools called {each.name}")
            self._tools[each.name] = each

    def __contains__(self, name: str) -> bool:
        return name in self._tools

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
            raise InvalidRequest(f"there is no tool {name}; use one of {', '.join(self._tools) or 'none'}")
        keywords = _checked(each, arguments)
        limit_s = each.timeout_s if timeout is None else timeout
        try:
            async with asyncio.timeout(limit_s) as limit:
                return as_text(await _called(each.handler, keywords))
        except VoxdError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                raise InvalidRequest(f"{name} did not finish within {limit_s:g} s") from error
            # A stranger's function may raise anything; the model is told and can say so or try otherwise.
            raise InvalidRequest(f"{name} failed: {type(error).__name__}: {error}") from error


async def _called(handler: Callable[..., Any], keywords: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(handler):
        return await handler(**keywords)
    result = await asyncio.to_thread(handler, **keywords)
    return await result if inspect.isawaitable(result) else result


def _checked(each: Tool, arguments: Mapping[str, Any] | str) -> Mapping[str, Any]:
    try:
        if isinstance(arguments, str):
            arguments = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        if each.arguments_type is None:
            return _matching(each, arguments)
        # What JSON cannot tell apart is settled leniently: models write 5 for 5.0 and "5" for 5.
        struct = msgspec.convert(arguments, each.arguments_type, strict=False)
        return {name: getattr(struct, name) for name in struct.__struct_fields__}
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the arguments of {each.name} do not fit: {error}") from error


def _matching(each: Tool, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    known = each.parameters.get("properties", {})
    missing = [key for key in each.parameters.get("required", ()) if key not in arguments]
    if missing:
        raise InvalidRequest(f"the arguments of {each.name} lack {', '.join(missing)}")
    unknown = [key for key in arguments if key not in known]
    if unknown and each.parameters.get("additionalProperties") is False:
        raise InvalidRequest(f"{each.name} has no argument {', '.join(unknown)}")
    return arguments


def as_text(value: Any) -> str:
    """Return what a tool returned as the model reads it: text as it is, nothing as "done", else JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "done"
    return msgspec.json.encode(value).decode()


def _capped(text: str) -> str:
    if len(text) <= MAX_OUTPUT_CHARS:
        return text
    return f"{text[:MAX_OUTPUT_CHARS]} … ({len(text) - MAX_OUTPUT_CHARS} more characters were cut)"
