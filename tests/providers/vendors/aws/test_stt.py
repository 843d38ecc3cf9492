"""Amazon Transcribe: requests, messages, and faults."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.rig.transports import open_transport
from tests.servers.aws_transcribe import KEY, exception, transcript
from tests.servers.live_speech import Fault, Refusal, Script
from tests.servers.words import spoken
from voxd.errors import ConfigError, ProviderError, StreamError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptUpdate
from voxd.providers.vendors.aws.stt import AwsStt, AwsSttProtocol
from voxd.providers.vendors.aws.wire import decode, encode


class TestContract(LiveContract):
    kind = "aws"


def result(text: str, end_s: float, *stable: bool, partial: bool = False) -> dict[str, Any]:
    items = [{"Content": "x", "Stable": each} for each in stable]
    return {"EndTime": end_s, "IsPartial": partial, "Alternatives": [{"Transcript": text, "Items": items}]}


@pytest.mark.parametrize(
    ("frame", "update"),
    [
        (transcript(), None),
        (transcript(result("kit", 0.4, False, partial=True)), TranscriptUpdate(partial="kit")),
        (transcript(result("kit", 0.4, True, False, partial=True)), TranscriptUpdate(partial="kit")),
        (
            transcript(result("kit", 0.4, True, True, partial=True)),
            TranscriptUpdate(partial="kit", stable=True),
        ),
        (transcript(result("Kitchen.", 1.5)), TranscriptUpdate(committed="Kitchen.", processed_s=1.5)),
        (
            transcript(result("Kitchen.", 1.5), result("li", 1.9, partial=True)),
            TranscriptUpdate(committed="Kitchen.", processed_s=1.5, partial="li"),
        ),
        (
            transcript({"EndTime": 2.0, "IsPartial": False, "Alternatives": []}),
            TranscriptUpdate(processed_s=2.0),
        ),
        (encode({":message-type": "event", ":event-type": "NewEvent"}, b"?"), None),
        (encode({":message-type": "news"}, b"?"), None),
    ],
)
def test_messages_of_the_service_are_parsed(frame: bytes, update: TranscriptUpdate | None) -> None:
    assert AwsSttProtocol("den").read(frame) == update


@pytest.mark.parametrize(
    ("kind", "message", "code", "retryable"),
    [
        ("BadRequestException", "The language is not supported.", "refused", False),
        ("BadRequestException", "Your request timed out because no new audio…", "closed_by_vendor", True),
        ("LimitExceededException", "Too many streams.", "rate_limited", True),
        ("InternalFailureException", "", "overloaded", True),
        ("ServiceUnavailableException", "Later.", "overloaded", True),
        ("ConflictException", "The session is there already.", "overloaded", True),
        ("AccessDeniedException", "No.", "invalid_api_key", False),
        ("SomethingNewException", "What?", "refused", False),
    ],
)
def test_each_exception_is_mapped_to_its_error(kind: str, message: str, code: str, retryable: bool) -> None:
    with pytest.raises(ProviderError) as raised:
        AwsSttProtocol("den").read(exception(kind, message))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "den")
    assert str(raised.value) == (message or kind)


def test_an_error_without_a_type_is_reported_too() -> None:
    frame = encode(
        {":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "Slow"}, b""
    )
    with pytest.raises(ProviderError, match="Slow") as raised:
        AwsSttProtocol("den").read(frame)
    assert raised.value.code == "rate_limited"


@given(st.binary(max_size=80))
@examples(50)
def test_a_transcript_of_any_bytes_is_read_or_refused(body: bytes) -> None:
    frame = encode({":message-type": "event", ":event-type": "TranscriptEvent"}, body)
    with pytest.raises(StreamError):
        AwsSttProtocol("den").read(frame)


async def test_a_frame_with_a_wrong_checksum_is_a_fault_and_not_a_transcript() -> None:
    frame = bytearray(transcript(result("wrong", 1.0)))
    frame[-20] ^= 1
    async with bench("aws", Script([Fault(0.1, None, says=(bytes(frame),))])) as bench_:
        with pytest.raises(StreamError):
            await heard_of(bench_.make(), spoken(SAID))


async def test_an_exception_breaks_the_session_off() -> None:
    frame = exception("LimitExceededException", "Too many streams.")
    async with bench("aws", Script([Fault(0.1, None, says=(frame,), closes=(1000, ""))])) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(SAID))
    assert (raised.value.code, raised.value.provider) == ("rate_limited", "aws")


async def test_sound_goes_in_frames_of_a_tenth_of_a_second_and_ends_with_an_empty_one() -> None:
    async with bench("aws") as bench_:
        await heard_of(bench_.make(), spoken(SAID))
        frames = [decode(message) for message in bench_.server.last.messages if isinstance(message, bytes)]
    assert {frame.headers[":event-type"] for frame in frames} == {"AudioEvent"}
    assert [len(frame.payload) for frame in frames] == [3200] * 12 + [0]


async def test_stable_words_are_reported_as_stable() -> None:
    async with bench("aws", Script(settles=9)) as bench_:
        heard = await heard_of(bench_.make(), spoken("red green"))
    assert [(each.text, each.stable) for each in heard[:-1]][:1] == [("red", True)]
    async with bench("aws", Script(settles=9)) as bench_:
        heard = await heard_of(bench_.make(options={"stability": ""}), spoken("red green"))
    assert not any(each.stable for each in heard)


@pytest.mark.parametrize(
    ("config", "told", "asked"),
    [
        ({}, TranscriptionRequest(), {"language-code": "en-US"}),
        ({"language": "de"}, TranscriptionRequest(), {"language-code": "de-DE"}),
        ({"language": "de"}, TranscriptionRequest(language="fr-CA"), {"language-code": "fr-CA"}),
        ({"options": {"vocabulary": "our-words"}}, TranscriptionRequest(), {"vocabulary-name": "our-words"}),
        (
            {"options": {"languages": ["en", "de-AT"]}},
            TranscriptionRequest(),
            {"identify-language": "true", "language-options": "en-US,de-AT"},
        ),
        ({"options": {"stability": "high"}}, TranscriptionRequest(), {"partial-results-stability": "high"}),
    ],
)
async def test_the_service_gets_the_known_settings(
    config: dict[str, Any], told: TranscriptionRequest, asked: dict[str, str]
) -> None:
    async with bench("aws") as bench_:
        heard = await heard_of(bench_.make(**config), spoken(SAID), told)
        query = bench_.server.last.query
    assert heard[-1].text == SAID
    assert {name: query[name] for name in asked} == {name: [value] for name, value in asked.items()}


async def test_every_connection_is_signed_anew() -> None:
    async with bench("aws", Script([Fault(0.5, 0, breaks=True)])) as bench_:
        await heard_of(bench_.make(), spoken(SAID))
        requests = [parse_qs(urlsplit(each.path).query) for each in bench_.server.requests]
    assert len(requests) == 2
    assert all(request["X-Amz-Expires"] == ["300"] for request in requests)


async def test_the_region_selects_the_endpoint() -> None:
    async with open_transport("", KEY, name="den", stage="stt") as transport:
        stt = AwsStt(StageConfig("den", "aws", options={"region": "eu-west-1"}), transport)
        url = stt.address(Access("", KEY), TranscriptionRequest()).url
        assert url.startswith(
            "wss://transcribestreaming.eu-west-1.amazonaws.com:8443/stream-transcription-websocket?"
        )
        assert "eu-west-1%2Ftranscribe%2Faws4_request" in url
        host = "wss://transcribestreaming.eu-north-1.amazonaws.com:8443"
        stt = AwsStt(StageConfig("den", "aws", endpoint=host), transport)
        assert "eu-north-1%2Ftranscribe" in stt.address(Access(host, KEY), TranscriptionRequest()).url
        with pytest.raises(ConfigError) as raised:
            AwsStt(StageConfig("den", "aws"), transport)
    assert "[providers.den]" in raised.value.hint


@pytest.mark.parametrize(
    ("status", "kind", "message", "code", "retryable"),
    [
        (403, "UnrecognizedClientException", "The token is invalid.", "invalid_api_key", False),
        (
            403,
            "InvalidSignatureException",
            "Signature expired: 20261120T1 is now earlier",
            "clock_wrong",
            True,
        ),
        (403, "InvalidSignatureException", "Signature not yet current: 2027", "clock_wrong", True),
        (403, "InvalidSignatureException", "The signature does not match.", "invalid_api_key", False),
        (403, "", "", "invalid_api_key", False),
        (400, "LimitExceededException", "Slow.", "rate_limited", True),
        (429, "LimitExceededException", "Slow.", "rate_limited", True),
        (503, "ServiceUnavailableException", "Later.", "overloaded", True),
        (500, "", "", "server_error", True),
        (404, "NewException", "x", "model_not_found", False),
    ],
)
async def test_each_refusal_is_mapped_to_its_error(
    status: int, kind: str, message: str, code: str, retryable: bool
) -> None:
    headers = {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/"} if kind else {}
    refusal = Refusal(status, json.dumps({"Message": message}), headers)
    async with bench("aws", Script(refusal=refusal)) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "aws")


async def test_an_incomplete_key_is_reported_before_anything_is_sent() -> None:
    async with bench("aws", key="AKIDEXAMPLE-without-a-secret") as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(SAID))
        assert bench_.server.requests == []
    assert raised.value.code == "invalid_api_key"


async def test_a_check_sends_no_sound() -> None:
    async with bench("aws") as bench_:
        await bench_.make().check(Budget())
        assert bench_.server.last.messages == []
