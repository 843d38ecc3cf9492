"""A Wyoming server of this network: requests, messages, and faults."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

import pytest

from tests.providers.vendors.stt_contract import SAID, Make, Speaker, SttContract, heard_of
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.words import spoken
from tests.servers.wyoming_asr import INFO, WyomingAsr, wyoming_asr
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.wyoming.stt import WyomingStt


def stage(transport: RecordedTransport, **config: Any) -> WyomingStt:
    return WyomingStt(StageConfig("ears", "wyoming", **config), transport)


@contextlib.asynccontextmanager
async def ears(**how: Any) -> AsyncIterator[tuple[WyomingAsr, RecordedTransport]]:
    async with (
        wyoming_asr(**how) as house,
        open_transport(house.url, "", name="ears", stage="stt") as transport,
    ):
        yield house, transport


class TestContract(SttContract):
    how: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    async def house(self) -> AsyncIterator[WyomingAsr]:
        async with wyoming_asr(**self.how) as house:
            self._house = house
            yield house

    @pytest.fixture
    async def transports(self) -> AsyncIterator[contextlib.AsyncExitStack]:
        async with contextlib.AsyncExitStack() as transports:
            yield transports

    async def made(self, transports: contextlib.AsyncExitStack, url: str) -> Make:
        transport = await transports.enter_async_context(open_transport(url, "", name="ears", stage="stt"))
        return lambda: stage(transport)

    @pytest.fixture
    async def make(self, house: WyomingAsr, transports: contextlib.AsyncExitStack) -> Make:
        return await self.made(transports, house.url)

    @pytest.fixture
    async def make_refused(self) -> Make:
        pytest.skip("Wyoming knows no keys")

    @pytest.fixture
    async def make_garbled(self, transports: contextlib.AsyncExitStack) -> Make:
        house = await transports.enter_async_context(wyoming_asr(raw=b"HTTP/1.1 400 Bad Request\r\n"))
        return await self.made(transports, house.url)

    @pytest.fixture
    async def make_silent(self, transports: contextlib.AsyncExitStack) -> Make:
        house = await transports.enter_async_context(wyoming_asr(mute=True))
        return await self.made(transports, house.url)

    @pytest.fixture
    async def make_unreachable(self, transports: contextlib.AsyncExitStack) -> Make:
        async with wyoming_asr() as house:
            url = house.url
        return await self.made(transports, url)

    @pytest.fixture
    def secret(self) -> str:
        return ""

    async def nobody_served(self) -> None:
        while self._house.serving:
            await asyncio.wait(set(self._house.serving), timeout=5)


class TestStreamedContract(TestContract):
    how: ClassVar[dict[str, Any]] = {"streaming": True, "inline": True}


async def test_the_server_gets_the_known_settings() -> None:
    async with ears() as (house, transport):
        told = TranscriptionRequest(language="de-AT", hints=("Zoë",))
        await heard_of(stage(transport, model="tiny"), spoken(SAID), told)
    assert house.data("transcribe") == [{"name": "tiny", "language": "de", "transcript_terms": ["Zoë"]}]
    assert bytes(house.sound) == spoken(SAID)
    kinds = [kind for kind, _ in house.events]
    assert kinds[:3] == ["transcribe", "audio-start", "audio-chunk"]
    assert kinds[-1] == "audio-stop"


async def test_words_come_as_they_are_understood() -> None:
    async with ears(streaming=True) as (_, transport):
        heard = await heard_of(stage(transport), spoken(SAID))
        [call] = transport.data(E.PROVIDER_CALL)
    assert [each.text for each in heard] == ["kitchen", "kitchen light", SAID, SAID]
    assert heard[-1].usage.transcribed_seconds == pytest.approx(1.2)
    assert (call["kind"], call["code"]) == ("transcribe", "ok")
    assert call["sent_bytes"] > len(spoken(SAID))


async def test_the_first_words_come_while_the_user_speaks() -> None:
    speaker = Speaker(spoken("red green"))
    async with (
        ears(streaming=True) as (_, transport),
        asyncio.timeout(5),
        aclosing(stage(transport).transcribe(speaker.sound(), TranscriptionRequest())) as heard,
    ):
        assert (await anext(heard)).text == "red"
        speaker.finish()
        assert [each.text async for each in heard][-1] == "red green"


async def test_every_utterance_has_a_connection_of_its_own() -> None:
    async with ears() as (house, transport):
        stt = stage(transport)
        for _ in range(3):
            await heard_of(stt, spoken("red"))
        assert house.connections == 3


async def test_an_end_of_speech_detected_by_the_server_is_used() -> None:
    speaker = Speaker(spoken("red"))
    async with (
        ears(early=b'{"type": "transcript", "data": {"text": "red"}}\n') as (_, transport),
        asyncio.timeout(5),
        aclosing(stage(transport).transcribe(speaker.sound(), TranscriptionRequest())) as heard,
    ):
        assert [(each.text, each.final) async for each in heard] == [("red", True)]


@pytest.mark.parametrize(
    ("how", "code", "retryable"),
    [
        ({"raw": b'{"type": "error", "data": {"text": "out of memory", "code": "oom"}}\n'}, "oom", True),
        ({"raw": b'{"type": "error", "data": {"text": "boom"}}\n'}, "provider_unavailable", True),
        ({"early": b'{"type": "error", "data": {"text": "no", "code": "bad-audio"}}\n'}, "bad-audio", True),
        ({"raw": b"", "hang_up": True}, "closed_by_vendor", True),
        ({"raw": b'{"type": "transcript", "data": {}}\n'}, "bad_answer", True),
        ({"raw": b'{"type": "transcript", "data": "red"}\n'}, "bad_answer", True),
        ({"raw": b'{"type": 5}\n'}, "bad_answer", True),
        ({"raw": b'{"kind": "transcript"}\n'}, "bad_answer", True),
        ({"raw": b"[1]\n"}, "bad_answer", True),
        ({"raw": b"\xff\xfe\n"}, "bad_answer", True),
        ({"raw": b"[" * 200_000 + b"\n"}, "bad_answer", True),
        ({"raw": b'{"type": "transcript", "data_length": 9}\n{"te', "hang_up": True}, "network_error", True),
        ({"raw": b'{"type": "x", "payload_length": 99999999999}\n'}, "too_big", True),
        ({"raw": b'{"type": "x", "payload_length": "5"}\n'}, "bad_answer", True),
    ],
)
async def test_every_fault_is_mapped_to_its_error(how: dict[str, Any], code: str, retryable: bool) -> None:
    async with ears(**how) as (_, transport):
        with pytest.raises(ProviderError) as raised:
            await heard_of(stage(transport), spoken(SAID))
        assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "ears")
        assert transport.data(E.PROVIDER_CALL)[-1]["code"] == code


async def test_events_of_other_kinds_are_passed_over() -> None:
    raw = b'{"type": "new-thing", "data": {"x": 1}, "payload_length": 2}\nab'
    raw += b'{"type": "transcript", "data": {"text": "red"}}\n'
    async with ears(raw=raw) as (_, transport):
        assert (await heard_of(stage(transport), spoken("red")))[-1].text == "red"


@pytest.mark.parametrize(
    "info", [{}, {"asr": []}, {"wake": INFO["asr"]}, {"asr": [{**INFO["asr"][0], "installed": False}]}]
)
async def test_a_server_that_offers_no_recognition_fails_the_check(info: dict[str, Any]) -> None:
    async with ears(info=info) as (_, transport):
        with pytest.raises(ProviderError) as raised:
            await stage(transport).check(Budget())
        assert (raised.value.code, raised.value.retryable, raised.value.provider) == (
            "not_offered",
            False,
            "ears",
        )


@pytest.mark.parametrize("info", [{"asr": 5}, {"asr": [{"name": "x"}]}])
async def test_a_server_that_offers_nonsense_fails_the_check(info: dict[str, Any]) -> None:
    async with ears(info=info) as (_, transport):
        with pytest.raises(ProviderError) as raised:
            await stage(transport).check(Budget())
        assert raised.value.code == "bad_answer"
