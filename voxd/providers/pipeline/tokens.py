"""How many tokens a text or a prompt is, about: only the vendor can count exactly, afterwards."""

import math

import msgspec

from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt
from voxd.providers.usage import Usage

CHARS_PER_TOKEN = 4
"""Characters of English in one token."""

TOKENS_PER_MESSAGE = 4
"""Tokens of a message beside its text."""


def text_tokens(text: str) -> int:
    """Return an estimate of the tokens of ``text``."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def message_tokens(message: ChatMessage) -> int:
    """Return an estimate of the tokens of ``message`` with its calls; signed reasoning counts as text."""
    calls = sum(text_tokens(call.name) + text_tokens(call.arguments) for call in message.calls)
    # The raw data repeats the text, so the larger of the two counts.
    raw = 0 if message.raw is None else len(msgspec.json.encode(message.raw, enc_hook=str)) // CHARS_PER_TOKEN
    return TOKENS_PER_MESSAGE + max(text_tokens(message.text) + calls, raw)


def estimated_usage(prompt: Prompt, answer: str) -> Usage:
    """Return about what a model uses that got ``prompt`` and wrote ``answer``."""
    tools = sum(len(tool.name) + len(tool.description) for tool in prompt.tools)
    sent = text_tokens(prompt.instructions) + sum(map(message_tokens, prompt.messages))
    return Usage(input_text_tokens=sent + tools // CHARS_PER_TOKEN, output_text_tokens=text_tokens(answer))
