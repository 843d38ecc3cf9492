"""Keeps a prompt within what a model can hold: an estimate of tokens, and which lines go first."""

import math
from collections.abc import Sequence

import msgspec

from voxd.providers.pipeline.stages.contract import ChatMessage
from voxd.providers.settings import ToolSpec

CHARS_PER_TOKEN = 4
"""About so many characters of English make a token; the vendors count exactly, after the fact."""

PER_MESSAGE = 4
"""Tokens that every line takes beside its words."""

ANSWER_TOKENS = 1024
"""Kept free for the answer where nobody said how long it may be."""

SAFETY = 0.9
"""Part of the context that is planned for: an estimate is not a count."""

HARDER = 0.5
"""After a vendor said that it was too long, so much of what we had thought would fit is sent."""

FULL = 0.6
"""A conversation that takes this part of the room is due to be summarised."""


def tokens_of(text: str) -> int:
    """Return about how many tokens ``text`` takes."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def message_tokens(message: ChatMessage) -> int:
    """Return about how many tokens a line takes, with its calls; a signed thought counts as its text."""
    called = sum(tokens_of(call.name) + tokens_of(call.arguments) for call in message.calls)
    raw = 0 if message.raw is None else len(msgspec.json.encode(message.raw, enc_hook=str)) // CHARS_PER_TOKEN
    return PER_MESSAGE + max(tokens_of(message.text) + called, raw)


def room(
    context_tokens: int,
    instructions: str,
    tools: Sequence[ToolSpec] = (),
    max_output_tokens: int | None = None,
) -> int:
    """Return how many tokens the lines of a conversation may take beside everything else; 0 or more."""
    told = tokens_of(instructions) + (tokens_of(msgspec.json.encode(tools).decode()) if tools else 0)
    answer = ANSWER_TOKENS if max_output_tokens is None else max_output_tokens
    return max(0, int(context_tokens * SAFETY) - told - min(answer, context_tokens // 4))


def exchanges(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Return the lines in groups that belong together: a question and all that followed on it.

    A call of a tool and its result are always in the same group.
    """
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if message.role == "user" or not groups:
            groups.append([])
        groups[-1].append(message)
    return groups


def fitted(messages: Sequence[ChatMessage], room_tokens: int) -> tuple[ChatMessage, ...]:
    """Return the newest exchanges that fit; the last one always, for without it nothing is asked."""
    kept: list[list[ChatMessage]] = []
    left = room_tokens
    for group in reversed(exchanges(messages)):
        left -= sum(map(message_tokens, group))
        if left < 0 and kept:
            break
        kept.append(group)
    return tuple(message for group in reversed(kept) for message in group)


def to_summarise(messages: Sequence[ChatMessage], room_tokens: int) -> int:
    """Return how many of the oldest lines are due to be summarised, 0 while there is room.

    The newer half of the exchanges stays as it is, and so does the last one in any case.
    """
    groups = exchanges(messages)
    if len(groups) < 2 or sum(map(message_tokens, messages)) < FULL * room_tokens:
        return 0
    return sum(len(group) for group in groups[: len(groups) // 2])
