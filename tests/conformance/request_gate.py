"""Holds every request of any test of a model to the vendor's strict types, where its SDK is installed."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_KINDS: Mapping[str, tuple[str, str]] = {
    "openai": ("openai.types.chat.completion_create_params", "CompletionCreateParamsStreaming"),
    "huggingface": ("openai.types.chat.completion_create_params", "CompletionCreateParamsStreaming"),
    "openai_responses": ("openai.types.responses.response_create_params", "ResponseCreateParamsStreaming"),
    "anthropic": ("anthropic.types.message_create_params", "MessageCreateParamsStreaming"),
}

enabled = True
"""Off in the fast lane."""


def request_complaints(kind: str, bodies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with the requests a model of ``kind`` sent; [] for who has no such types."""
    place, name = _KINDS.get(kind, ("", ""))
    package = place.partition(".")[0]
    if not enabled or not package or find_spec(package) is None:
        return []
    judge = _judge(place, name)
    return [found for body in bodies if (found := judge.complaint(body))]


@cache
def _judge(place: str, name: str) -> Any:
    from tests.conformance.params import Judge

    package = ".".join(place.split(".")[:2])
    return Judge(package, getattr(import_module(place), name))
