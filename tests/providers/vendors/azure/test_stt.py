"""Azure Speech: the frames of its protocol, what is asked of it, and what goes wrong."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with
from tests.rig.transports import open_transport
from tests.servers.azure_speech import AzureSession, told
from tests.servers.live_speech import KEY, Refusal, Script
from tests.servers.words import SPACE_S, spoken
from voxd.errors import ConfigError, ProviderError, StreamError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import Throttle, TranscriptUpdate
from voxd.providers.vendors.azure import wire as usp
from voxd.providers.vendors.azure.stt import AzureStt, AzureSttProtocol

AT_S = 1_795_184_523.25
AT = "2026-11-20T14:22:03.250Z"
TURN = "c0655fed43e242f99906b11c204a522c"


class TestContract(LiveContract):
    kind = "azure"


def test_frames_are_those_of_the_vendors_own_client() -> None:
    """As recorded from azure-cognitiveservices-speech 1.53.0, without the speaker."""
    head, _, body = usp.context("en-US", ("Zoë",), TURN, AT_S).partition("\r\n\r\n")
    assert head.split("\r\n")[:3] == [f"X-Timestamp:{AT}", "Path:speech.context", f"X-RequestId:{TURN}"]
    assert json.loads(body) == {
        "phraseDetection": {"language": "en-US"},
        "dgi": {"Groups": [{"Type": "Generic", "Items": [{"Text": "Zoë"}]}], "bias": 1.0},
        "audio": {"streams": {"1": None}},
    }
    first = usp.beginning(TURN, AT_S)
    size = 2 + int.from_bytes(first[:2])
    lines = [
        f"X-Timestamp:{AT}",
        "Path:audio",
        "Content-Type:audio/x-wav",
        f"X-RequestId:{TURN}",
        "X-StreamId:1",
    ]
    assert first[2:size].decode().split("\r\n") == [*lines, ""]
    assert first[size:] == (
        b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00\x02\x00"
        b"\x10\x00data\x00\x00\x00\x00"
    )
    assert usp.sound(b"\x01\x02", TURN, AT_S).endswith(b"X-StreamId:1\r\n\x01\x02")


def test_without_likely_words_no_list_is_sent() -> None:
    assert "dgi" not in usp.context("en-US", (), TURN, AT_S)


@given(
    st.text(alphabet=st.characters(exclude_characters="\r\n:", exclude_categories=["Cs"]), min_size=1),
    st.text(),
)
@examples(50)
def test_transcripts_of_the_service_are_read_verbatim(path: str, said: str) -> None:
    body = {"Text": said}
    message = usp.read(told(f"x{path}x", body, TURN))
    assert (message.path, message.request_id) == (f"x{path}x".lower(), TURN)
    assert json.loads(message.body) == body


@given(st.binary(max_size=60) | st.text(max_size=60))
@examples(50)
def test_any_frame_is_read_or_refused(frame: str | bytes) -> None:
    protocol = AzureSttProtocol("den", "en-US")
    try:
        assert protocol.read(frame) is None
    except StreamError as error:
        assert error.provider == "den"  # noqa: PT017


@pytest.mark.parametrize(
    "frame", [b"", b"\x00", b"\x00\x00", b"\xff\xffPath:x", b"\x00\x02\xff\xfe", "", "Path:"]
)
def test_a_frame_that_is_none_is_refused(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|decode"):
        usp.read(frame)


def protocol() -> tuple[AzureSttProtocol, str]:
    """A protocol and the id of its turn, in the other case: the service may write it as it likes."""
    spoken_ = AzureSttProtocol("den", "en-US")
    return spoken_, usp.read(str(spoken_.opening()[1])).request_id.upper()


def phrase(status: str, **more: Any) -> dict[str, Any]:
    return {"RecognitionStatus": status, "Offset": 1_000_000, "Duration": 20_000_000, **more}


@pytest.mark.parametrize(
    ("path", "body", "update"),
    [
        (
            "speech.hypothesis",
            {"Text": "turn on", "Offset": 1, "Duration": 2},
            TranscriptUpdate(partial="turn on"),
        ),
        (
            "speech.phrase",
            phrase("Success", DisplayText="Hi."),
            TranscriptUpdate(committed="Hi.", processed_s=2.1),
        ),
        ("speech.phrase", phrase("NoMatch"), TranscriptUpdate(processed_s=2.1)),
        ("speech.phrase", phrase("InitialSilenceTimeout"), TranscriptUpdate(processed_s=2.1)),
        ("speech.phrase", phrase("BabbleTimeout"), TranscriptUpdate(processed_s=2.1)),
        ("turn.end", {}, TranscriptUpdate(done=True)),
        ("turn.start", {"context": {"serviceTag": "x"}}, None),
        ("speech.startDetected", {"Offset": 5}, None),
        ("something.new", {"x": 1}, None),
    ],
)
def test_messages_of_the_service_are_parsed(
    path: str, body: dict[str, Any], update: TranscriptUpdate | None
) -> None:
    ours, turn = protocol()
    assert ours.read(told(path, body, turn)) == update


def test_what_belongs_to_another_turn_is_passed_over() -> None:
    ours, _ = protocol()
    assert ours.read(told("turn.end", {}, "0" * 32)) is None


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        ("Error", "server_error", True),
        ("ServiceUnavailable", "server_error", True),
        ("TooManyRequests", "rate_limited", True),
        ("Forbidden", "invalid_api_key", False),
        ("BadRequest", "stream_failed", True),
    ],
)
def test_a_phrase_that_is_none_is_a_fault(status: str, code: str, retryable: bool) -> None:
    ours, turn = protocol()
    with pytest.raises(ProviderError) as raised:
        ours.read(told("speech.phrase", phrase(status), turn))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "den")


@pytest.mark.parametrize("code", [1002, 1003, 1007, 4000])
async def test_a_close_that_is_final_is_not_followed_by_another_session(code: int) -> None:
    told = await closed_with("azure", code, "that is no request")
    assert (told.error.code, told.error.retryable, told.sessions) == ("invalid_request", False, 1)
    assert str(told.error) == "that is no request"
    assert told.error.hint


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1013])
async def test_after_any_other_close_another_session_is_tried(code: int) -> None:
    assert (await closed_with("azure", code, "bye")).sessions == ALL


async def test_an_utterance_that_waited_goes_no_faster_than_the_service_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    length_s = SPACE_S * len(SAID.split())
    monkeypatch.setattr(AzureSttProtocol, "throttle", Throttle(burst_s=length_s / 2, speed=20.0))
    loop = asyncio.get_running_loop()
    async with bench("azure") as bench_:
        began_s = loop.time()
        heard = await heard_of(bench_.make(), spoken(SAID))
        took_s = loop.time() - began_s
    assert heard[-1].text == SAID
    # The last piece waits for all that comes before it.
    assert took_s >= (length_s / 2 - AzureSttProtocol.chunk_ms / 1000) / 20.0


@pytest.mark.parametrize("body", [[], {"Text": 5}, {}])
def test_a_hypothesis_without_text_is_a_fault(body: Any) -> None:
    ours, turn = protocol()
    with pytest.raises(StreamError):
        ours.read(told("speech.hypothesis", body, turn))


async def test_the_service_gets_the_language_and_the_likely_words() -> None:
    async with bench("azure") as bench_:
        stt = bench_.make(options={"profanity": "raw"})
        await heard_of(stt, spoken(SAID), TranscriptionRequest(language="de", hints=("Zoë",)))
        session = bench_.server.last
    assert isinstance(session, AzureSession)
    assert session.query == {"language": ["de-DE"], "format": ["simple"], "profanity": ["raw"]}
    [context] = session.contexts
    assert context["phraseDetection"] == {"language": "de-DE"}
    assert context["dgi"]["Groups"][0]["Items"] == [{"Text": "Zoë"}]


async def test_hypotheses_come_before_phrases() -> None:
    async with bench("azure", Script(settles=2)) as bench_:
        heard = await heard_of(bench_.make(), spoken("red green blue"))
    assert [each.text for each in heard if not each.final] == ["red", "red green", "red green blue"]
    assert heard[-1].text == "red green blue"


async def test_a_check_sends_no_sound() -> None:
    async with bench("azure") as bench_:
        await bench_.make().check(Budget())
        assert bench_.server.last.messages == []


async def test_the_protocol_is_offered_as_the_vendors_own_client_does() -> None:
    async with bench("azure") as bench_:
        stt = bench_.make()
        await stt.check(Budget())
        await heard_of(stt, spoken(SAID))
        offered = [each.headers.get("Sec-WebSocket-Protocol") for each in bench_.server.requests]
    assert offered == ["USP", "USP"]


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(401, "invalid_api_key", False), (403, "invalid_api_key", False), (429, "rate_limited", True)],
)
async def test_each_refusal_is_mapped_to_its_error(status: int, code: str, retryable: bool) -> None:
    async with bench("azure", Script(refusal=Refusal(status))) as bench_:
        with pytest.raises(ProviderError) as raised:
            await heard_of(bench_.make(), spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert (raised.value.code, raised.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("endpoint", "mode", "url"),
    [
        ("", "conversation", "wss://westeurope.stt.speech.microsoft.com/speech/recognition/conversation"),
        ("https://pi.local/", "dictation", "wss://pi.local/speech/recognition/dictation"),
    ],
)
async def test_where_the_service_is_follows_from_region_or_endpoint(
    endpoint: str, mode: str, url: str
) -> None:
    async with open_transport("", KEY, name="den", stage="stt") as wire:
        stt = AzureStt(StageConfig("den", "azure", options={"region": "westeurope", "mode": mode}), wire)
        address = stt.address(Access(endpoint, KEY), TranscriptionRequest())
    assert address.url == f"{url}/cognitiveservices/v1?language=en-US&format=simple"
    assert address.headers["Ocp-Apim-Subscription-Key"] == KEY
    assert len(address.headers["X-ConnectionId"]) == 32


async def test_a_missing_region_and_endpoint_are_reported_at_construction() -> None:
    async with open_transport("", KEY, name="den", stage="stt") as wire:
        with pytest.raises(ConfigError) as raised:
            AzureStt(StageConfig("den", "azure"), wire)
    assert "[providers.den]" in raised.value.hint
