"""Every vendor's simulation, and a third party's provider, keep the contract of `response_contract`."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.providers.response_contract import Act, Begin, Call, End, ResponseContract, Sound, SoundEnds, Words
from tests.servers.gemini_live import KEY as GEMINI_KEY
from tests.servers.gemini_live import GeminiLive
from tests.servers.gemini_steps import DONE, content, said, sound
from tests.servers.openai_realtime import KEY, RealtimeServer, Script, realtime_server
from voxd.providers.base import BaseProvider, Capabilities
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.azure.realtime import AzureProvider
from voxd.providers.vendors.custom.realtime import CustomProvider
from voxd.providers.vendors.google.realtime import GeminiProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider

RATE_HZ = 24_000
STATUS: Mapping[str, dict[str, Any]] = {
    "completed": {"status": "completed"},
    "filtered": {"status": "incomplete", "status_details": {"reason": "content_filter"}},
    "cut_off": {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
    "failed": {"status": "failed", "status_details": {"error": {"code": "server_error", "message": "no"}}},
}


def pcm(seconds: float) -> bytes:
    return b"\x01\x00" * round(seconds * RATE_HZ)


class _OpenAI(ResponseContract):
    kind: type[Any] = OpenAIProvider
    statuses = ("completed", "filtered", "cut_off", "failed")
    beta = False

    @pytest.fixture
    async def server(self) -> AsyncIterator[RealtimeServer]:
        # The test answers instead of it.
        async with realtime_server(Script(deaf_to={"response.create"})) as server:
            self.at = server
            yield server

    @pytest.fixture
    async def provider(self, server: RealtimeServer) -> BaseProvider:
        provider: BaseProvider = self.kind({"api_key": KEY, "model": "m", "endpoint": server.url})
        return provider

    async def act(self, provider: BaseProvider, number: int, *acts: Act) -> None:
        await self.at.received("response.create", number)
        for act in acts:
            for frame in self.frames(act, f"r{number}"):
                await self.at.peer.say(frame)

    def frames(self, act: Act, response_id: str) -> list[dict[str, Any]]:
        audio = "audio" if self.beta else "output_audio"
        at = {"response_id": response_id, "item_id": f"i-{response_id}"}
        match act:
            case Begin():
                return [{"type": "response.created", "response": {"id": response_id}}]
            case Words(text):
                return [{"type": f"response.{audio}_transcript.delta", "delta": text, **at}]
            case Sound(seconds):
                delta = base64.b64encode(pcm(seconds)).decode()
                return [{"type": f"response.{audio}.delta", "delta": delta, **at}]
            case SoundEnds():
                return [{"type": f"response.{audio}.done", **at}]
            case End(status, calls):
                output = [self.item(call, f"c{n}-{response_id}") for n, call in enumerate(calls)]
                return [
                    {
                        "type": "response.done",
                        "response": {"id": response_id, "output": output, **STATUS[status]},
                    }
                ]

    def item(self, call: Call, call_id: str) -> dict[str, Any]:
        arguments = call.arguments
        if not self.beta and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        return {"type": "function_call", "name": call.name, "call_id": call_id, "arguments": arguments}


class TestOpenAI(_OpenAI):
    pass


class TestAzure(_OpenAI):
    kind = AzureProvider


class TestCustomOfTheBeta(_OpenAI):
    kind = CustomProvider
    beta = True


class TestCustomWithoutIds(_OpenAI):
    """It announces nothing and numbers nothing."""

    kind = CustomProvider

    def frames(self, act: Act, response_id: str) -> list[dict[str, Any]]:
        if isinstance(act, Begin):
            return [{"type": "response.created"}]
        found = []
        for frame in super().frames(act, response_id):
            frame.pop("response_id", None)
            frame.get("response", {}).pop("id", None)
            found.append(frame)
        return found


class TestGemini(ResponseContract):
    statuses = ("completed", "filtered", "failed")

    @pytest.fixture
    async def provider(self) -> AsyncIterator[BaseProvider]:
        async with GeminiLive() as server:
            self.at = server
            # The test answers instead of it.
            server.replies.extend(() for _ in range(30))
            yield GeminiProvider({"api_key": GEMINI_KEY, "endpoint": server.url})
            assert server.violations == []

    async def act(self, provider: BaseProvider, number: int, *acts: Act) -> None:
        served = await self.at.connection()

        def asked() -> int:
            # A result is answered like a question.
            results = [each.get("toolResponse", {}).get("functionResponses", ()) for each in served.received]
            questions = [each for each in served.received if "clientContent" in each]
            return len(questions) + sum(len(each) for each in results)

        async with asyncio.timeout(5), served.arrived:
            await served.arrived.wait_for(lambda: asked() >= number)
        for act in acts:
            match act:
                case Words(text):
                    await served.send(said(text))
                case Sound(seconds):
                    await served.send(sound(pcm(seconds)))
                case SoundEnds():
                    await served.send(DONE)
                case End(status, ()):
                    reason = {"filtered": "SAFETY", "failed": "MALFORMED_FUNCTION_CALL"}.get(status)
                    why = {"turnCompleteReason": reason} if reason else {}
                    await served.send(content(turnComplete=True, **why))
                case End(_, calls):
                    made = [
                        {"id": f"c{number}-{n}", "name": call.name, "args": call.arguments}
                        for n, call in enumerate(calls)
                    ]
                    served.open_calls.update(call["id"] for call in made)
                    await served.send({"toolCall": {"functionCalls": made}})


class Plain(BaseProvider):
    """A third party's: it reports types and dicts."""

    capabilities = Capabilities(tools=True)

    def __init__(self) -> None:
        super().__init__({})
        self.asked = 0
        self.changed = asyncio.Condition()
        self._open = False

    @property
    def is_connected(self) -> bool:
        return self._open

    async def connect(self) -> None:
        self._open = True

    async def disconnect(self) -> None:
        self._open = False

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Nothing to set."""

    async def send_audio(self, audio_data: bytes) -> None:
        """Deaf."""

    async def send_text(self, text: str) -> None:
        async with self.changed:
            self.asked += 1
            self.changed.notify_all()

    async def request_response(self) -> None:
        await self.send_text("")

    async def interrupt(self, played_ms: float | None = None) -> None:
        """It has nothing to stop."""


class TestThirdParty(ResponseContract):
    numbered = True

    @pytest.fixture
    async def provider(self) -> BaseProvider:
        self.ids = itertools.count(1)
        return Plain()

    async def act(self, provider: BaseProvider, number: int, *acts: Act) -> None:
        assert isinstance(provider, Plain)
        async with asyncio.timeout(5), provider.changed:
            await provider.changed.wait_for(lambda: provider.asked >= number)
        named = {"response_id": f"r{number}"} if self.numbered else {}
        for act in acts:
            match act:
                case Begin():
                    provider.emit_event("response.started", named)
                case Words(text):
                    provider.emit_event("text.output", {"text": text, "is_partial": True, **named})
                case Sound(seconds):
                    data = {"audio_data": pcm(seconds), "sample_rate": RATE_HZ, **named}
                    provider.emit_event("audio.output_chunk", data)
                case SoundEnds():
                    provider.emit_event("audio.output_stopped", {"duration_ms": 1.0, **named})
                case End(_, calls):
                    for call in calls:
                        made = {
                            "function_name": call.name,
                            "arguments": call.arguments,
                            "call_id": f"c{next(self.ids)}",
                        }
                        provider.emit_event("function.invoked", made)
                    provider.emit_event("response.completed", named)


class TestThirdPartyWithoutIds(TestThirdParty):
    numbered = False
