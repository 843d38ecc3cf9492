"""Reads the calls of models; describes and checks the arguments of a tool, from a signature or a schema."""

import functools
import inspect
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from voxd.errors import InvalidRequest

# The simple types of JSON Schema (validation vocabulary, section 6.1.1).
_SIMPLE: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
# Keywords of JSON Schema (validation vocabulary, sections 6.2 to 6.4), and the name msgspec has for the
# same limit.
_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}

# Harmony's tokens <|channel|>, and what looks like one to a tokenizer that broke it off.
_CONTROL = re.compile(r"<\|")
# Such a token whole, DeepSeek's with a full-width bar, and tags such as </tool_call>.
_TOKEN = re.compile(r"<[|\uff5c][^<>]*>?|</?[A-Za-z_]+>")
_WORD = re.compile(r"[A-Za-z0-9_-]+")

_SECTION = re.compile(r"^(args|arguments|parameters|params)\s*:?$", re.IGNORECASE)
_END = re.compile(r"^(returns?|raises|yields?|examples?|notes?)\s*:?$", re.IGNORECASE)
_GOOGLE = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX = re.compile(r"^:param\s+(?:[\w\[\], |]+\s)?(\w+)\s*:\s*(.*)$")


def from_function(
    function: Callable[..., Any], name: str, meanings: Mapping[str, str]
) -> tuple[type[msgspec.Struct], dict[str, Any]]:
    """Return the type of the arguments of ``function`` and their JSON Schema.

    Raises `InvalidRequest` when a parameter has no type, an unusable one, or cannot be passed by name.
    """
    try:
        fields = _fields(function, name, meanings)
        arguments = msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=True, kw_only=True)
        (root,), definitions = msgspec.json.schema_components([arguments])
        whole = _inlined(root, definitions, ())
        return arguments, {
            "type": "object",
            "properties": whole.get("properties", {}),
            "required": whole.get("required", []),
            "additionalProperties": False,
        }
    except (TypeError, NameError) as error:
        raise InvalidRequest(f"the tool {name} has a parameter of an unusable type: {error}") from error


def read_arguments(value: object) -> dict[str, Any] | str:
    """Return the arguments of a call as a model or server sent them: an object, or text that is not one.

    Nothing, ``null`` and an empty list are an object without entries. Text that is not an object was cut off
    or malformed: no tool may run with it.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if not value:
        return {}
    text = value.strip() if isinstance(value, str) else str(value)
    # Models of the gpt-oss family end it with a control token.
    for each in (text, _CONTROL.split(text, maxsplit=1)[0]):
        found = _decoded(each)
        # Some servers encode the object twice.
        found = _decoded(found) if isinstance(found, str) else found
        if isinstance(found, dict):
            return found
        if found is None or found == []:
            return {}
    return text


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text or "null")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def resolve_name(name: str, known: Collection[str]) -> str:
    """Return which tool of ``known`` a model means by ``name``, else ``name`` as vendors accept it."""
    if name in known:
        return name
    # Control tokens of the harmony format ("get_time<|channel|>commentary", "<|start|>functions.get_time"),
    # name spaces ("default_api:get_time"), brackets of a call: the tool is one of the words.
    words = _WORD.findall(name)
    if found := next((word for word in words if word in known), ""):
        return found
    # Another spelling: "getTime", "Get-Time". A case that fits two tools stands for none of them.
    folded = {_folded(word) for word in words}
    alike = [each for each in known if _folded(each) in folded]
    if len(alike) == 1:
        return alike[0]
    # What is before the first token; one at the very beginning has nothing before it.
    plain = next((part for part in _TOKEN.split(name) if part.strip()), "")
    return "_".join(_WORD.findall(plain))[:64]


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def from_schema(name: str, schema: Mapping[str, Any]) -> type[msgspec.Struct]:
    """Return the type of the arguments a JSON Schema of type object describes.

    Types, enumerations, limits and items are checked; the rest of the schema is left to the tool.
    Raises `InvalidRequest` when it is not such a schema.
    """
    if schema.get("type", "object") != "object":
        raise InvalidRequest(f"the parameters of the tool {name} are not an object")
    required = frozenset(schema.get("required", ()))
    fields: list[Any] = []
    try:
        for number, (key, value) in enumerate(dict(schema.get("properties", {})).items()):
            kind = _kind(value)
            # A property need not be a Python identifier ("user-id"), so fields are numbered, and renamed to
            # it.
            if key in required:
                fields.append((f"p{number}", kind, msgspec.field(name=key)))
            else:
                fields.append((f"p{number}", kind | UnsetType, msgspec.field(name=key, default=UNSET)))
        closed = schema.get("additionalProperties") is False
        return msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=closed, kw_only=True)
    # A malformed schema fails wherever it is first used: a list for "properties" here, a bad pattern in
    # msgspec.
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(f"the parameters of the tool {name} cannot be read: {error}") from error


def check_arguments(kind: type[msgspec.Struct], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``arguments`` as ``kind`` has them; those left out stay out.

    Raises `msgspec.ValidationError`, which says what is wrong.
    """
    # Not strict: models confuse types that JSON distinguishes, and send "5" for 5.
    struct = msgspec.convert(arguments, kind, strict=False)
    known = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    # An open schema allows more than it names: ``additionalProperties`` is true by default (JSON Schema).
    checked = {key: value for key, value in arguments.items() if key not in known}
    for key, field in known.items():
        if (value := getattr(struct, field)) is not UNSET:
            checked[key] = value
    return checked


def parse_docstring(doc: str) -> tuple[str, dict[str, str]]:
    """Return the text before the sections, and each parameter's meaning.

    It understands "Args:" with indented "name: meaning" lines (Google) and ":param name: meaning" (Sphinx).
    """
    text: list[str] = []
    meanings: dict[str, str] = {}
    inside = ended = False
    name = ""
    for line in doc.splitlines():
        bare = line.strip()
        if _SECTION.match(bare) or _END.match(bare):
            inside, ended, name = bool(_SECTION.match(bare)), True, ""
        elif match := _SPHINX.match(bare):
            ended, name = True, match[1]
            meanings[name] = match[2]
        elif inside and line.startswith(" ") and (match := _GOOGLE.match(bare)):
            name = match[1]
            meanings[name] = match[2]
        elif name and line.startswith(" ") and bare:
            meanings[name] = f"{meanings[name]} {bare}".strip()
        elif not ended and not bare.startswith(":"):
            text.append(bare)
    return " ".join(" ".join(text).split()), meanings


def _fields(function: Callable[..., Any], name: str, meanings: Mapping[str, str]) -> list[Any]:
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        # A model passes arguments by name only: ``*args`` and positional-only parameters have none.
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidRequest(f"the tool {name}: {parameter.name} cannot be passed by name")
        if parameter.name not in hints:
            hint = f"annotate {parameter.name} of {name}"
            raise InvalidRequest(f"the tool {name}: {parameter.name} has no type", hint=hint)
        kind = hints[parameter.name]
        if meaning := meanings.get(parameter.name):
            kind = Annotated[kind, Meta(description=meaning)]
        default = parameter.default
        if default is parameter.empty:
            fields.append((parameter.name, kind))
            continue
        # Copied for each call: a tool that changes its default would change it for the next call too.
        if isinstance(default, list | dict | set):
            default = msgspec.field(default_factory=default.copy)
        fields.append((parameter.name, kind, default))
    return fields


def _inlined(node: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """Return ``node`` with every definition inlined."""
    if isinstance(node, list):
        return [_inlined(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    # Not all vendors follow ``$ref``: a definition is written out wherever it is used.
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        if name in inside:
            # A recursive type has no finite schema without ``$ref``.
            raise TypeError(f"{name} contains itself")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions, (*inside, name)), **rest}
    return {key: _inlined(value, definitions, inside) for key, value in node.items()}


def _kind(schema: Mapping[str, Any]) -> Any:
    """Return the type that ``schema`` describes; Any where it is not simple."""
    options = schema.get("enum")
    # msgspec takes strings and integers as literals; True is an int in Python, but not in JSON.
    if options and all(isinstance(option, str | int) and not isinstance(option, bool) for option in options):
        return Literal[tuple(options)]
    named: Any = schema.get("type")
    if isinstance(named, list):
        return functools.reduce(operator.or_, (_kind({**schema, "type": each}) for each in named))
    if named == "array":
        return _limited(list[_kind(schema.get("items", {}))], schema)  # type: ignore[misc]
    if named == "object":
        return dict[str, Any]
    return _limited(_SIMPLE[named], schema) if named in _SIMPLE else Any


def _limited(kind: Any, schema: Mapping[str, Any]) -> Any:
    limits = {ours: schema[theirs] for theirs, ours in _LIMITS.items() if theirs in schema}
    return Annotated[kind, Meta(**limits)] if limits else kind
