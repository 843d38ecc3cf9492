"""The Python blocks of the reference texts, and what stands for the names that they leave to their reader."""

import asyncio
import builtins
import logging
import os
import re
import textwrap
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import voxd
import voxd.voxengine
from tests.engine.conftest import PATIENCE_S
from tests.engine.sounds import tone
from tests.providers.deaf import DeafProvider
from tests.servers.openai_realtime import KEY
from tests.shared import SHARED

Scope = dict[str, Any]

_FENCED = re.compile(r"^[ ]*```python\n(.*?)(?:^[ ]*```|\Z)", re.DOTALL | re.MULTILINE)
_OPENER = re.compile(r"^(\s*)(?:async |class |def |if |elif |else|for |while |with |try|except|finally)")


def blocks(document: str) -> list[str]:
    """Return the blocks of a document, with a key that the fake server takes and nothing else changed."""
    found = list((SHARED / "seeds").glob(f"{document}_*.txt")) if SHARED.is_dir() else []
    if not found:
        return []
    blocks = _FENCED.findall(found[0].read_text())
    return [textwrap.dedent(block).replace("sk-...", KEY) for block in blocks]


def complete(block: str) -> str:
    """Return ``block`` with a body for each statement that is printed without one, or only with comments."""
    lines = block.rstrip().splitlines()
    out: list[str] = []
    for number, line in enumerate(lines):
        out.append(line)
        # A signature over several lines ends with a line that only closes it.
        opener = _OPENER.match(line) or re.match(r"^(\s*)\).*->", line)
        if opener is None or line.rstrip().endswith(("(", ",")):
            continue
        code = line.split("  #")[0].rstrip()
        if not code.endswith(":"):
            if not re.match(r"^\s*\).*->", line):
                continue
            out[-1] = f"{code}:"
        indent = len(opener[1])
        rest = [each for each in lines[number + 1 :] if each.strip() and not each.strip().startswith("#")]
        is_empty = not rest or len(rest[0]) - len(rest[0].lstrip()) <= indent
        if is_empty:
            out.append(f"{' ' * (indent + 4)}pass")
    return "\n".join(out)


def ignore(*_: object) -> None:
    """Stand for a function of the reader's own."""


class Replies(DeafProvider):
    """Stand for a provider of the reader's own: the six methods, and a text as the answer."""

    async def send_text(self, text: str) -> None:
        self.emit_event("TEXT_OUTPUT", {"text": text, "is_partial": False})

    async def interrupt(self) -> None:  # type: ignore[override]
        pass

    async def configure_session(self, config: dict[str, Any]) -> None:  # type: ignore[override]
        pass

    async def receive_message(self) -> dict[str, Any]:
        return {"text": "hello"}

    def translate_event(self, message: dict[str, Any]) -> Any:
        return voxd.Event(1, "text.output", 0.0, None, message)


class Reader(dict[str, Any]):
    """The builtins of a block, and below them any other name as a function of the reader's own."""

    def __missing__(self, name: str) -> Any:
        # The import system and the interpreter look for these.
        if name.startswith("__"):
            raise KeyError(name)
        return tone(100) if "audio" in name and not name.startswith(("play", "handle")) else ignore


def scope(**more: Any) -> Scope:
    """Return the names of a block: the library's, what a program imports first, and ``more``."""
    return {
        **{name: getattr(voxd, name) for name in voxd.__all__},
        **{name: getattr(typing, name) for name in ("Any", "Dict", "Literal", "Optional")},
        "ABC": ABC,
        "abstractmethod": abstractmethod,
        "dataclass": dataclass,
        "field": field,
        "asyncio": asyncio,
        "os": os,
        "Path": Path,
        "logger": logging.getLogger("example"),
        "MyProvider": Replies,
        "self": Replies({}),
        "test_config": {},
        "provider": "mock",
        "print": ignore,
        "__builtins__": Reader(vars(builtins)),
        **more,
    }


async def run(block: str, scope: Scope) -> Mapping[str, Any]:
    """Run ``block`` as the body of a coroutine; returns its names."""
    body = textwrap.indent(complete(block), "    ")
    names = set(re.findall(r"^(engine|config|provider) = ", block, re.MULTILINE))
    inherited = "".join(f"    {name} = globals().get('{name}')\n" for name in sorted(names))
    source = f"async def block():\n{inherited}{body}\n    return locals()"
    exec(compile(source, "<block>", "exec"), scope)
    async with asyncio.timeout(PATIENCE_S):
        result: Mapping[str, Any] = await scope["block"]()
    return result
