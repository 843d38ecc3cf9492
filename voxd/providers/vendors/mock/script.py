"""The replies, delays and faults of the mock provider: a script as a value."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

Fault = Literal["", "refused", "invalid_api_key", "rate_limited", "timeout"]


class MockCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool the mock calls."""

    name: str
    arguments: dict[str, Any] = {}


class MockReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reply: tools to call first, then ``text``, in which "{results}" stands for their results."""

    text: str
    calls: tuple[MockCall, ...] = ()


Seconds = Annotated[float, Meta(ge=0)]


class MockScript(msgspec.Struct, kw_only=True):
    """The ``metadata`` of a mock provider; one script may serve several sessions.

    ``replies`` go by the exact text (case and outer punctuation aside), ``patterns`` by the first regular
    expression found in it, with groups as in `re.Match.expand`; else ``default_reply``. ``hears`` are the
    transcripts of spoken questions, in turn, the last one for good. Delays are in seconds. ``connect_fault``
    fails the first ``connect_faults`` openings, all when 0. ``drop_after`` breaks the connection after so
    many events. With ``silent`` no reply comes. ``prices_like`` is the model whose prices count.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "responses": "replies",
        "mock_responses": "replies",
        "default_response": "default_reply",
        "response_delay_s": "first_delay_s",
    }
    state: ClassVar[frozenset[str]] = frozenset({"openings", "questions"})

    replies: dict[str, str | MockReply] = {}
    patterns: tuple[tuple[str, str | MockReply], ...] = ()
    default_reply: str = "This is the mock provider. I heard you."
    hears: tuple[str, ...] = ("hello",)
    connect_delay_s: Seconds = 0.0
    first_delay_s: Seconds = 0.0
    chunk_delay_s: Seconds = 0.0
    connect_fault: Fault = ""
    connect_faults: int = 0
    retry_after_s: Seconds | None = None
    drop_after: int = 0
    silent: bool = False
    vad_rms: float = 500.0
    vad_silence_ms: float = 500.0
    prices_like: str = "gpt-realtime-2.1-mini"
    # Counters: one script may serve several sessions, so they are here.
    openings: int = 0
    questions: int = 0

    def opening(self) -> Fault:
        """Count an opening and return how it fails, "" when it does not."""
        self.openings += 1
        fails = self.connect_faults == 0 or self.openings <= self.connect_faults
        return self.connect_fault if fails else ""

    def transcript(self) -> str:
        """Return the transcript of the next spoken question."""
        self.questions += 1
        return self.hears[min(self.questions, len(self.hears)) - 1] if self.hears else ""

    def reply_to(self, text: str) -> MockReply:
        """Return the reply to ``text``."""
        plain = _plain(text)
        for known, reply in self.replies.items():
            if _plain(known) == plain:
                return _reply(reply)
        for pattern, reply in self.patterns:
            if found := re.search(pattern, text, re.IGNORECASE):
                template = _reply(reply)
                return msgspec.structs.replace(template, text=found.expand(template.text))
        return MockReply(self.default_reply)


def _plain(text: str) -> str:
    return text.lower().strip(" .,!?\t\n")


def _reply(reply: str | MockReply) -> MockReply:
    return MockReply(reply) if isinstance(reply, str) else reply
