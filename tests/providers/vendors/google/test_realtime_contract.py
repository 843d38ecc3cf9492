"""Gemini Live keeps the contract of every provider, against the fake on a real socket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.conformance.gemini_gate import live_complaints
from tests.providers.contract import LONG, Make, ProviderContract
from tests.servers.gemini_live import KEY, TASK, GeminiLive
from tests.servers.gemini_steps import Until, said, sound
from voxd.providers.vendors.google.realtime import GeminiProvider


class TestContract(ProviderContract):
    @pytest.fixture
    async def server(self) -> AsyncIterator[GeminiLive]:
        async with GeminiLive() as server:
            server.answers[LONG] = (sound(bytes(9600)), said("once upon"), Until(asyncio.Event()))
            yield server
            assert server.violations == []
            assert live_complaints(server.received) == []

    @pytest.fixture(params=["gemini-3.8-live", "gemini-3.1-flash-live-preview", "gemini-2.5-flash-live"])
    def model(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def make(self, server: GeminiLive, model: str) -> Make:
        return lambda: GeminiProvider({"api_key": KEY, "endpoint": server.url, "model": model})

    @pytest.fixture
    def make_refused(self, server: GeminiLive) -> Make:
        return lambda: GeminiProvider({"api_key": "wrong", "endpoint": server.url})

    def others_tasks(self) -> set[str]:
        return {TASK}
