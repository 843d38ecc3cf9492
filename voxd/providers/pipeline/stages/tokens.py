"""How many tokens a text or a prompt is, about: only the vendor can count exactly, afterwards."""

import math
from collections.abc import Sequence

import msgspec

from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt
from voxd.providers.settings import ToolSpec
from voxd.providers.usage import Usage

BYTES_PER_TOKEN = 4
"""Bytes of English in one token; other scripts have more bytes in UTF-8, but seldom more tokens a byte."""

TOKENS_PER_MESSAGE = 4
"""Tokens of a message beside its text."""

_USUAL_REPLY_TOKENS = 256


def text_tokens(text: str) -> int:
    """Return an estimate of the tokens of ``text``."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)


def message_tokens(message: ChatMessage) -> int:
    """Return an estimate of the tokens of ``message`` with its calls; signed reasoning counts as text."""
    calls = sum(text_tokens(call.name) + text_tokens(call.arguments) for call in message.calls)
    # The raw data repeats the text, so the larger of the two counts.
    raw = 0 if message.raw is None else len(msgspec.json.encode(message.raw, enc_hook=str)) // BYTES_PER_TOKEN
    return TOKENS_PER_MESSAGE + max(text_tokens(message.text) + calls, raw)


def fixed_tokens(instructions: str, tools: Sequence[ToolSpec]) -> int:
    """Return an estimate of the tokens of every prompt with ``instructions`` and ``tools``."""
    declared = math.ceil(len(msgspec.json.encode(tools)) / BYTES_PER_TOKEN) if tools else 0
    return text_tokens(instructions) + declared


def estimated_usage(prompt: Prompt, answer: str) -> Usage:
    """Return about what a model uses that got ``prompt`` and wrote ``answer``."""
    sent = fixed_tokens(prompt.instructions, prompt.tools) + sum(map(message_tokens, prompt.messages))
    return Usage(input_text_tokens=sent, output_text_tokens=text_tokens(answer))


def request_tokens(prompt: Prompt) -> int:
    """Return an estimate of the tokens of ``prompt`` and its reply, for rate limits."""
    reply = prompt.max_output_tokens or _USUAL_REPLY_TOKENS
    return estimated_usage(prompt, "").input_text_tokens + reply
