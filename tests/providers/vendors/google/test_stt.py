"""Google's Speech v1: requests, answers, faults."""

from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import UploadContract, upload_fixtures
from tests.rig.transports import RecordedTransport
from tests.servers.google_speech import GoogleSpeechServer, answer_of, bad_key, complaint
from tests.servers.plain_http import Play, raw, reply
from tests.servers.words import spoken
from voxd.errors import ProviderError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.google.stt import GoogleStt


class TestContract(UploadContract):
    kind = GoogleStt
    fake = GoogleSpeechServer


server, transport = upload_fixtures(GoogleSpeechServer)


def stage(transport: RecordedTransport, **config: Any) -> GoogleStt:
    return GoogleStt(StageConfig("ears", "google", **config), transport)


async def test_the_request_contains_the_known_settings(
    server: GoogleSpeechServer, transport: RecordedTransport
) -> None:
    stt = stage(transport, model="command_and_search", options={"languages": ["fr", "it-IT"], "boost": 15})
    await heard_of(stt, spoken(SAID), TranscriptionRequest(language="de", hints=("Zoë",)))
    assert server.bodies[0]["config"] == {
        "encoding": "FLAC",
        "sampleRateHertz": 16_000,
        "languageCode": "de-DE",
        "model": "command_and_search",
        "enableAutomaticPunctuation": True,
        "alternativeLanguageCodes": ["fr-FR", "it-IT"],
        "speechContexts": [{"phrases": ["Zoë"], "boost": 15.0}],
    }


async def test_other_spellings_of_the_settings_are_sent(
    server: GoogleSpeechServer, transport: RecordedTransport
) -> None:
    options = {
        "language_code": "en-US",
        "enable_word_time_offsets": True,
        "model": "latest_long",
        "alternativeLanguageCodes": ["de-DE"],
        "enableAutomaticPunctuation": False,
        "diarization_config": {"enable_speaker_diarization": True, "maxSpeakerCount": 3},
    }
    await heard_of(stage(transport, options=options), spoken(SAID))
    assert server.bodies[0]["config"] == {
        "encoding": "FLAC",
        "sampleRateHertz": 16_000,
        "languageCode": "en-US",
        "model": "latest_long",
        "enableAutomaticPunctuation": False,
        "enableWordTimeOffsets": True,
        "alternativeLanguageCodes": ["de-DE"],
        "diarizationConfig": {"enableSpeakerDiarization": True, "maxSpeakerCount": 3},
    }


async def test_the_last_result_says_who_spoke(
    server: GoogleSpeechServer, transport: RecordedTransport
) -> None:
    words = [
        {"word": "red", "speakerTag": 2},
        {"word": "green", "speakerTag": 2},
        {"word": "on", "speakerTag": 1},
    ]
    first = {"alternatives": [{"transcript": "red green on", "words": [{"word": "red"}]}]}
    last = {"alternatives": [{"words": words}]}
    server.script = [answer_of({"results": [first, last]})] * 2
    [heard] = await heard_of(stage(transport, options={"diarize": True}), spoken(SAID))
    assert heard.text == "Speaker 1: red green Speaker 2: on"
    [heard] = await heard_of(stage(transport), spoken(SAID))
    assert (heard.text, heard.speakers) == ("red green on", ())


async def test_parts_are_joined_and_the_billed_time_is_read(
    server: GoogleSpeechServer, transport: RecordedTransport
) -> None:
    [heard] = await heard_of(stage(transport), spoken(SAID))
    assert (heard.text, heard.usage.transcribed_seconds) == (SAID, 15)
    server.script = [
        answer_of({"results": [{"alternatives": []}, {"languageCode": "x"}], "totalBilledTime": "?"})
    ]
    [heard] = await heard_of(stage(transport), spoken(SAID))
    assert (heard.text, heard.usage.transcribed_seconds) == ("", pytest.approx(1.2))


@pytest.mark.parametrize(
    ("play", "code", "retryable"),
    [
        (bad_key(), "invalid_api_key", False),
        (complaint(401, "UNAUTHENTICATED", "No key."), "invalid_api_key", False),
        (complaint(403, "PERMISSION_DENIED", "The API is not enabled."), "invalid_api_key", False),
        (complaint(429, "RESOURCE_EXHAUSTED", "Quota exceeded."), "rate_limited", True),
        (complaint(400, "INVALID_ARGUMENT", "Sync input too long."), "refused", False),
        (complaint(503, "UNAVAILABLE", "Try later."), "server_error", True),
        (reply(b"", status=504), "server_error", True),
        (reply(b'{"results": [{"alternatives": [{"transcript": 5}]}]}'), "bad_answer", True),
        (reply(b"[]"), "bad_answer", True),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "truncated", True),
    ],
)
async def test_every_fault_is_mapped_to_its_error(
    server: GoogleSpeechServer, transport: RecordedTransport, play: Play, code: str, retryable: bool
) -> None:
    server.script = [play]
    with pytest.raises(ProviderError) as raised:
        await heard_of(stage(transport), spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "ears")


async def test_a_check_sends_no_sound(server: GoogleSpeechServer, transport: RecordedTransport) -> None:
    await stage(transport).check(Budget())
    assert b"audio" not in server.plain.requests[0].body
    assert server.bodies == []


async def test_what_google_itself_is_asked(
    transport: RecordedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def request(build: Any, *_: Any, **__: Any) -> Any:
        calls.append(build(Access("", "a-key-of-google")))
        raise ProviderError("enough")

    monkeypatch.setattr(transport, "request", request)
    with pytest.raises(ProviderError, match="enough"):
        await heard_of(stage(transport), spoken(SAID))
    assert calls[0].url == "https://speech.googleapis.com/v1/speech:recognize"
    assert calls[0].headers == {"x-goog-api-key": "a-key-of-google"}
