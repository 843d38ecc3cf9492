"""OpenAI's transcriptions, and those of servers that offer the same: requests, answers, faults."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import UploadContract, upload_fixtures, vendor
from tests.rig.transports import KEY, RecordedTransport, open_transport
from tests.servers.openai_transcriptions import MODEL, Transcriptions, complaint, sse
from tests.servers.plain_http import Play, head, pieces, raw, reply
from tests.servers.words import played, spoken
from voxd.audio.files import decode_flac
from voxd.errors import ConfigError, ProviderError
from voxd.events import EventType as E
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.openai.stt import OpenAIStt

DELTA = {"type": "transcript.text.delta", "delta": "kit"}


class TestContract(UploadContract):
    kind = OpenAIStt
    fake = Transcriptions
    base = "/v1"


class TestStreamedContract(TestContract):
    """The same with words as they are understood."""

    async def made(self, transports: Any, url: str, key: str = KEY) -> Any:
        plain = await super().made(transports, url, key)
        transport = plain().transport
        return lambda: OpenAIStt(StageConfig("ears", "openai", options={"stream": True}), transport)

    garbage = staticmethod(pieces(b'data: {"type": 5}\n\n', content_type="text/event-stream"))


server, transport = upload_fixtures(Transcriptions, "/v1")


def stage(transport: RecordedTransport, **config: Any) -> OpenAIStt:
    return OpenAIStt(StageConfig("ears", "openai", **config), transport)


async def test_the_request_contains_the_known_settings(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    told = TranscriptionRequest(language="de-AT", hints=("Zoë", "voxd"))
    await heard_of(stage(transport, options={"prompt": "A device."}), spoken(SAID), told)
    [form] = server.forms
    assert form == {
        "model": [MODEL],
        "response_format": ["json"],
        "language": ["de"],
        "keywords[]": ["Zoë", "voxd"],
        "prompt": ["A device."],
        "file": [""],
    }
    [(name, kind, data)] = server.files
    assert (name, kind) == ("utterance.flac", "audio/flac")
    assert decode_flac(data).pcm == spoken(SAID)


async def test_speakers_are_asked_for_and_told_apart(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    segments = [
        {"speaker": "A", "text": " Red."},
        {"speaker": "B", "text": " Green. "},
        {"speaker": "B"},
        "odd",
    ]
    answer = {"text": "Red. Green.", "segments": segments}
    server.script = [reply(json.dumps(answer).encode(), content_type="application/json")]
    options = {"diarize": True, "prompt": "A device.", "organization": "org"}
    model = "gpt-4o-transcribe-diarize"
    [heard] = await heard_of(stage(transport, model=model, options=options), spoken(SAID))
    assert heard.text == "Speaker 1: Red. Speaker 2: Green."
    assert stage(transport, options=options).model == model
    asked = server.plain.requests[0]
    assert b"diarized_json" in asked.body
    assert b"chunking_strategy" in asked.body
    assert b"A device." not in asked.body
    assert asked.headers["openai-organization"] == "org"


async def test_another_model_takes_likely_words_as_a_prompt(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    told = TranscriptionRequest(hints=("Zoë", "voxd"))
    await heard_of(stage(transport, model="whisper-1", language="en"), spoken(SAID), told)
    assert server.forms[0]["prompt"] == ["Zoë, voxd"]
    assert server.forms[0]["language"] == ["en"]
    assert "keywords[]" not in server.forms[0]


async def test_words_come_one_after_the_other_and_then_as_a_whole(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    heard = await heard_of(stage(transport, options={"stream": True}), spoken(SAID))
    assert [each.text for each in heard] == ["kitchen", "kitchen light", SAID, SAID]
    used = heard[-1].usage
    assert (used.input_audio_tokens, used.input_text_tokens, used.output_text_tokens) == (10, 4, 3)
    assert used.transcribed_seconds == pytest.approx(1.2)


async def test_the_vendor_determines_the_billed_seconds(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    server.script = [reply(b'{"text": "a", "usage": {"type": "duration", "seconds": 7}}')]
    assert (await heard_of(stage(transport), spoken(SAID)))[-1].usage.transcribed_seconds == 7


async def test_a_server_that_ignores_the_wish_for_a_stream_is_understood(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    server.script = [reply(b'{"text": " Hello. "}', content_type="application/json")]
    heard = await heard_of(stage(transport, options={"stream": True}), spoken(SAID))
    assert [(each.text, each.final) for each in heard] == [("Hello.", True)]


async def test_a_stream_with_other_events_and_without_a_last_line_is_understood(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    segment = {"type": "transcript.text.segment", "id": "s", "text": "kit"}
    done = {"type": "transcript.text.done", "text": "kitchen"}
    server.script = [sse({"type": "new.event", "x": [1]}, DELTA, segment, done, done=False)]
    heard = await heard_of(stage(transport, options={"stream": True}), spoken(SAID))
    assert [each.text for each in heard] == ["kit", "kitchen"]


def error_event(code: str | int | None) -> Play:
    return sse(DELTA, {"error": {"message": "boom", "type": "server_error", "code": code}}, done=False)


@pytest.mark.parametrize(
    ("play", "code", "retryable"),
    [
        (complaint(429, "Slow down.", "rate_limit_exceeded", {"retry-after": "2"}), "rate_limited", True),
        (complaint(429, "No credit.", "insufficient_quota"), "insufficient_quota", False),
        (complaint(403, "Not for you.", "unsupported_country"), "invalid_api_key", False),
        (complaint(404, "No such model.", "model_not_found"), "model_not_found", False),
        (complaint(400, "Audio file is too short.", "audio_too_short"), "audio_too_short", False),
        (complaint(413, "Too large.", None), "too_big", False),
        (reply(b"oops", status=500), "server_error", True),
        (reply(b"<html>", content_type="text/html"), "captive_portal", True),
        (
            raw(b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\n\r\n"),
            "captive_portal",
            True,
        ),
        (raw(b""), "network_error", True),
        (raw(head(200, "application/json", {"Content-Length": "50"}) + b'{"text": "ki'), "truncated", True),
        (reply(b'{"txt": "a"}'), "bad_answer", True),
        (reply(b"[" * 5000), "bad_answer", True),
        (error_event("rate_limit_exceeded"), "rate_limited", True),
        (error_event(None), "provider_unavailable", True),
        (error_event(429), "rate_limited", True),
        (sse(DELTA), "truncated", True),
        (sse(DELTA, done=False), "truncated", True),
        (pieces(b"data: {\n\n", content_type="text/event-stream"), "bad_answer", True),
        (pieces(b"data: \xff\n\n", content_type="text/event-stream"), "bad_answer", True),
    ],
)
async def test_every_fault_is_mapped_to_its_error(
    server: Transcriptions, transport: RecordedTransport, play: Play, code: str, retryable: bool
) -> None:
    server.script = [play]
    stt = stage(transport, options={"stream": True})
    with pytest.raises(ProviderError) as raised:
        await heard_of(stt, spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "ears")
    assert transport.data(E.PROVIDER_CALL)[-1]["code"] == code


async def test_a_transcript_can_be_given_up_between_its_words(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    server.script = [sse(DELTA, done=False)]
    stt = stage(transport, options={"stream": True})
    async with aclosing(stt.transcribe(played(spoken(SAID)), TranscriptionRequest())) as heard:
        assert (await anext(heard)).text == "kit"
    assert [call["kind"] for call in transport.data(E.PROVIDER_CALL)] == ["transcribe"]


async def test_half_a_transcript_is_never_the_final_one(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    server.script = [sse(DELTA)]
    stt = stage(transport, options={"stream": True})
    async with aclosing(stt.transcribe(played(spoken(SAID)), TranscriptionRequest())) as heard:
        first = await anext(heard)
        with pytest.raises(ProviderError):
            await anext(heard)
    assert (first.text, first.final) == ("kit", False)


async def test_what_may_pass_is_tried_again_with_the_same_sound(
    server: Transcriptions, transport: RecordedTransport
) -> None:
    server.script = [reply(b"", status=503, headers={"retry-after-ms": "1"})]
    assert (await heard_of(stage(transport), spoken(SAID)))[-1].text == SAID
    assert len(server.files) == 2
    assert server.files[0] == server.files[1]


async def test_a_server_of_ones_own_needs_no_key_and_no_list_of_models() -> None:
    async with vendor(lambda plain: Transcriptions(plain, key="")) as server:
        async with open_transport(f"{server.plain.url}/v1", "", name="ears", stage="stt") as transport:
            stt = stage(transport, model="Systran/faster-whisper-small")
            assert (await heard_of(stt, spoken(SAID)))[-1].text == SAID
            await stt.check(Budget())
        assert all("authorization" not in asked.headers for asked in server.plain.requests)
        async with open_transport(f"{server.plain.url}/nowhere", "", name="ears", stage="stt") as transport:
            await stage(transport).check(Budget())


@pytest.mark.parametrize(
    ("endpoint", "model", "stream", "url"),
    [
        ("", "", "true", "https://api.openai.com/v1"),
        ("https://eu.api.openai.com/v1/", "gpt-4o-transcribe", "true", "https://eu.api.openai.com/v1"),
        ("", "whisper-1", None, "https://api.openai.com/v1"),
        ("", "gpt-6-luna", "true", "https://api.openai.com/v1"),
        ("http://pi.local:8000/v1", "", None, "http://pi.local:8000/v1"),
        ("https://openai.com.evil.example/v1", "", None, "https://openai.com.evil.example/v1"),
    ],
)
async def test_what_openai_itself_is_asked(
    endpoint: str,
    model: str,
    stream: str | None,
    url: str,
    transport: RecordedTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def request(build: Any, *_: Any, **__: Any) -> Any:
        calls.append(build(Access(endpoint, "sk-12345678")))
        raise ProviderError("enough")

    monkeypatch.setattr(transport, "request", request)
    with pytest.raises(ProviderError, match="enough"):
        await heard_of(stage(transport, model=model), spoken(SAID))
    assert calls[0].url == f"{url}/audio/transcriptions"
    assert calls[0].form.get("stream") == stream


@pytest.mark.parametrize(
    ("endpoint", "told", "model"),
    [
        ("", "", MODEL),
        ("", "gpt-4o-mini-transcribe-2025-12-15", "gpt-4o-mini-transcribe-2025-12-15"),
        ("", "gpt-6-luna", MODEL),
        ("http://pi.local:8000/v1", "large-v3", "large-v3"),
        ("http://pi.local:8000/v1", "", MODEL),
    ],
)
def test_a_model_that_does_not_listen_is_for_another_stage(
    endpoint: str, told: str, model: str, transport: RecordedTransport
) -> None:
    assert stage(transport, endpoint=endpoint, model=told).model == model


async def test_openai_itself_is_not_asked_without_a_key(server: Transcriptions) -> None:
    async with open_transport("https://api.openai.com/v1", "", name="ears", stage="stt") as transport:
        with pytest.raises(ProviderError) as raised:
            await heard_of(stage(transport), spoken(SAID))
    assert raised.value.code == "invalid_api_key"


def test_an_option_of_a_wrong_type_is_refused(transport: RecordedTransport) -> None:
    with pytest.raises(ConfigError):
        stage(transport, options={"stream": "yes"})
