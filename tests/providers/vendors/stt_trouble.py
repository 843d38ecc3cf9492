"""What a stage reports for a fault of its fake."""

import json
from dataclasses import dataclass

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import bench
from tests.servers.live_speech import Fault, Frame, Refusal, Script
from tests.servers.words import spoken
from voxd.errors import ProviderError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_stream import RECONNECTS

ALL = 1 + RECONNECTS
"""How many sessions there are where another one may help."""


@dataclass(frozen=True)
class Trouble:
    """The error, and how many sessions were tried."""

    error: ProviderError
    sessions: int

    @property
    def told(self) -> tuple[type[ProviderError], str, bool]:
        """The class, the code, and whether trying again can help."""
        return type(self.error), self.error.code, self.error.retryable


async def trouble(kind: str, script: Script) -> Trouble:
    """Return what ``script`` leads to."""
    async with bench(kind, script) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(
                bench_.make(), spoken("one two three"), TranscriptionRequest(budget=Budget(retries=9))
            )
        return Trouble(raised.value, len(bench_.server.sessions))


async def closed_with(kind: str, code: int, reason: str) -> Trouble:
    """Return what comes of a close in the middle of every session."""
    return await trouble(kind, Script([Fault(0.5, None, closes=(code, reason))]))


async def complained_with(kind: str, frame: Frame) -> Trouble:
    """Return what comes of a message that reports a fault, in the middle of every session."""
    return await trouble(kind, Script([Fault(0.5, None, says=(json.dumps(frame),))]))


async def refused_with(kind: str, status: int, body: Frame | str) -> Trouble:
    """Return what comes of an HTTP answer instead of a WebSocket, without trying again."""
    async with bench(kind, Script(refusal=Refusal(status, body))) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken("one"), TranscriptionRequest(budget=Budget(retries=0)))
        return Trouble(raised.value, len(bench_.server.requests))
