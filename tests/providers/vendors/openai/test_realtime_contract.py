"""OpenAI, Azure and custom servers keep the contract of every provider, against the fake on a real socket."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.gate import realtime_complaints
from tests.providers.contract import LONG, Make, ProviderContract
from tests.servers.openai_realtime import KEY, TASK, RealtimeServer, Reply, Script, realtime_server
from voxd.providers.vendors.azure.realtime import AzureProvider
from voxd.providers.vendors.custom.realtime import CustomProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider


class _Contract(ProviderContract):
    kind: type[OpenAIProvider]

    @pytest.fixture
    async def server(self) -> AsyncIterator[RealtimeServer]:
        story = Reply("once upon a time", sound_ms=2000, hold_after=10, late=3)
        async with realtime_server(Script(to_text={LONG: story})) as server:
            yield server
            assert realtime_complaints(server.frames) == []

    @pytest.fixture
    def make(self, server: RealtimeServer) -> Make:
        return lambda: self.kind({"api_key": KEY, "model": "gpt-realtime-2.1", "endpoint": server.url})

    @pytest.fixture
    def make_refused(self, server: RealtimeServer) -> Make:
        return lambda: self.kind({"api_key": "sk-wrong", "endpoint": server.url})

    def others_tasks(self) -> set[str]:
        return {TASK}


class TestOpenAI(_Contract):
    kind = OpenAIProvider


class TestAzure(_Contract):
    kind = AzureProvider


class TestCustom(_Contract):
    kind = CustomProvider
