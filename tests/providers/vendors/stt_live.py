"""The contract for vendors of live transcription, whose fakes have everything in common."""

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from tests.conformance.gate import realtime_complaints, streaming_complaints
from tests.providers.vendors.stt_contract import Make, SttContract
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.assemblyai import AssemblyAi as FakeAssemblyAi
from tests.servers.aws_transcribe import KEY as AWS_KEY
from tests.servers.aws_transcribe import AwsTranscribe as FakeAws
from tests.servers.azure_speech import AzureSpeech as FakeAzure
from tests.servers.deepgram import DeepgramFlux as FakeFlux
from tests.servers.deepgram import DeepgramNova as FakeNova
from tests.servers.live_speech import KEY, TASK, Fault, LiveSpeech, Script
from tests.servers.openai_transcribe import OpenAITranscription as FakeOpenAI
from tests.servers.scribe import Scribe as FakeScribe
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.assemblyai.stt import AssemblyAiStt
from voxd.providers.vendors.aws.stt import AwsStt
from voxd.providers.vendors.azure.stt import AzureStt
from voxd.providers.vendors.deepgram.stt import DeepgramStt
from voxd.providers.vendors.deepgram.stt_flux import DeepgramFluxStt
from voxd.providers.vendors.elevenlabs.stt import ElevenLabsStt
from voxd.providers.vendors.openai.stt_live import OpenAILiveStt


@dataclass(frozen=True)
class Vendor:
    """An adapter and its fake; ``base`` is the path of the endpoint, ``options`` it cannot do without."""

    kind: str
    adapter: type[StreamingSpeechToText]
    fake: type[LiveSpeech]
    base: str = ""
    key: str = KEY
    options: Mapping[str, Any] = field(default_factory=dict)

    def config(self, name: str, **config: Any) -> StageConfig:
        options = {**self.options, **config.pop("options", {})}
        return StageConfig(name, self.kind, options=options, **config)


VENDORS = {
    each.kind: each
    for each in (
        Vendor("deepgram", DeepgramStt, FakeNova),
        Vendor("deepgram_flux", DeepgramFluxStt, FakeFlux),
        Vendor("assemblyai", AssemblyAiStt, FakeAssemblyAi),
        Vendor("elevenlabs", ElevenLabsStt, FakeScribe),
        Vendor("openai_live", OpenAILiveStt, FakeOpenAI, "/v1"),
        Vendor("azure", AzureStt, FakeAzure, options={"region": "westeurope"}),
        Vendor("aws", AwsStt, FakeAws, key=AWS_KEY, options={"region": "eu-central-1"}),
    )
}

GATES = {"openai_live": realtime_complaints, "assemblyai": streaming_complaints}
"""Where the vendor's types are strict, every frame of every test is held to them."""


@dataclass
class Bench:
    """A fake that runs, and stages that speak to it."""

    vendor: Vendor
    server: LiveSpeech
    transport: RecordedTransport
    stages: list[StreamingSpeechToText] = field(default_factory=list)

    def make(self, **config: Any) -> StreamingSpeechToText:
        stage = self.vendor.adapter(self.vendor.config(self.transport.name, **config), self.transport)
        self.stages.append(stage)
        return stage

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What was noted on the line."""
        return self.transport.data("provider.note")


@contextlib.asynccontextmanager
async def bench(kind: str, script: Script | None = None, *, key: str = "") -> AsyncIterator[Bench]:
    """Yield a bench for the vendor ``kind`` whose fake plays ``script``."""
    vendor = VENDORS[kind]
    async with (
        vendor.fake(script).running() as server,
        open_transport(
            f"{server.url}{vendor.base}", key or vendor.key, name=kind, stage="stt", kind=kind
        ) as transport,
    ):
        yield Bench(vendor, server, transport)
        if kind in GATES:
            assert GATES[kind](frame for session in server.sessions for frame in session.frames) == []


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port without a listener."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


class LiveContract(SttContract):
    """Give ``kind``."""

    kind: ClassVar[str]
    garbage: ClassVar[str | bytes] = '{"type":"Results","start":'

    @pytest.fixture
    async def good(self) -> AsyncIterator[Bench]:
        async with bench(self.kind) as bench_:
            self.bench = bench_
            yield bench_

    @pytest.fixture
    def make(self, good: Bench) -> Make:
        return good.make

    @pytest.fixture
    async def make_refused(self) -> AsyncIterator[Make]:
        async with bench(self.kind, key="a-wrong-key:0123456789") as bench_:
            yield bench_.make

    @pytest.fixture
    async def make_garbled(self) -> AsyncIterator[Make]:
        script = Script(faults=[Fault(after_s=0.1, on=None, says=(self.garbage,))])
        async with bench(self.kind, script) as bench_:
            yield bench_.make

    @pytest.fixture
    async def make_silent(self) -> AsyncIterator[Make]:
        async with bench(self.kind, Script(mute=True)) as bench_:
            yield bench_.make

    @pytest.fixture
    async def make_unreachable(self) -> AsyncIterator[Make]:
        vendor = VENDORS[self.kind]
        with closed_port() as port:
            async with open_transport(
                f"ws://127.0.0.1:{port}", vendor.key, name=self.kind, stage="stt"
            ) as transport:
                yield lambda: vendor.adapter(vendor.config(self.kind), transport)

    @pytest.fixture
    def secret(self) -> str:
        return VENDORS[self.kind].key

    async def nobody_served(self) -> None:
        await self.bench.server.until(lambda: self.bench.server.open == 0)

    def others_tasks(self) -> set[str]:
        return {TASK}
