"""The steps of a script for a Gemini Live server: its messages, and the faults it plays, as values."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]


def content(**fields: Any) -> Message:
    """A `serverContent` message."""
    return {"serverContent": fields}


def sound(pcm: bytes, rate_hz: int = 24_000) -> Message:
    """A piece of speech."""
    data = {"mimeType": f"audio/pcm;rate={rate_hz}", "data": base64.b64encode(pcm).decode()}
    return content(modelTurn={"role": "model", "parts": [{"inlineData": data}]})


def heard(text: str) -> Message:
    """A piece of what the user said."""
    return content(inputTranscription={"text": text})


def said(text: str) -> Message:
    """A piece of what the model says."""
    return content(outputTranscription={"text": text})


def call(*calls: tuple[str, str, Message]) -> Message:
    """A `toolCall`: (id, name, args) each."""
    return {"toolCall": {"functionCalls": [{"id": i, "name": name, "args": args} for i, name, args in calls]}}


USAGE = {
    "usageMetadata": {
        "promptTokenCount": 120,
        "responseTokenCount": 60,
        "totalTokenCount": 180,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 100},
        ],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
    }
}
DONE = content(generationComplete=True)
TURN_COMPLETE = content(turnComplete=True)
END = (DONE, {**USAGE, **TURN_COMPLETE})
"""How an answer ends when nothing interrupts it."""


@dataclass(frozen=True)
class Close:
    """Close the socket."""

    code: int
    reason: str = ""


@dataclass(frozen=True)
class Raw:
    """Send data that is not a message; str goes in a text frame, bytes in a binary one."""

    frame: bytes | str


@dataclass(frozen=True)
class Until:
    """Go on when ``event`` is set."""

    event: asyncio.Event


class Break:
    """Break the TCP connection without a closing handshake."""


class ToolResults:
    """Go on when every open call was answered."""


Step = Message | Close | Raw | Until | Break | ToolResults


def speech(text: str, pcm: bytes = b"\x01\x00" * 2400, *, question: str = "") -> tuple[Step, ...]:
    """A whole spoken answer: what was heard, its sound and words, its end."""
    return (*((heard(question),) if question else ()), sound(pcm), said(text), *END)
