import asyncio
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SILENCE, Speaker, heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with, complained_with, refused_with
from tests.servers.live_speech import Fault, Refusal, Script
from tests.servers.scribe import ScribeSession
from tests.servers.words import spoken
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptUpdate
from voxd.providers.vendors.elevenlabs.stt import ElevenLabsSttProtocol


class TestContract(LiveContract):
    kind = "elevenlabs"


async def asked(told: TranscriptionRequest | None = None, **config: Any) -> dict[str, list[str]]:
    async with bench("elevenlabs") as bench_:
        await heard_of(bench_.make(**config), spoken("one"), told)
        return bench_.server.last.query


async def test_the_default_request_has_the_documented_parameters() -> None:
    assert await asked() == {
        "model_id": ["scribe_v2_realtime"],
        "audio_format": ["pcm_16000"],
        "commit_strategy": ["manual"],
    }


async def test_the_vendors_own_settings_are_passed_on_under_their_names() -> None:
    options = {"no_verbatim": True, "secondary_languages": ["fr", "it"], "stability": 0.3}
    told = TranscriptionRequest(language="de-CH", hints=("Ada", "a term of more than twenty letters"))
    query = await asked(told, options=options, model="eleven_flash_v2_5")
    assert query["model_id"] == ["scribe_v2_realtime"], "the other one speaks"
    assert query["no_verbatim"] == ["true"]
    assert query["secondary_languages"] == ["fr", "it"]
    assert query["keyterms"] == ["Ada"]
    assert query["language_code"] == ["de"]
    assert "stability" not in query


async def test_the_utterance_is_committed_once_and_by_us() -> None:
    async with bench("elevenlabs") as bench_:
        await heard_of(bench_.make(), spoken("one two three"))
        frames = bench_.server.last.frames
    assert [frame["commit"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert frames[-1]["audio_base_64"] == ""


async def test_too_little_to_be_committed_is_filled_up_with_silence() -> None:
    async with bench("elevenlabs") as bench_:
        heard = await heard_of(bench_.make(), bytes(640))
        assert bench_.server.last.recogniser.processed_s >= 0.4
    assert heard[-1].text == ""


async def test_what_the_vendor_commits_unasked_is_understood_once_even_after_a_cut() -> None:
    text = "one two three four"
    async with bench("elevenlabs") as bench_:
        speaker = Speaker(spoken(text))
        heard = []

        async def listen() -> None:
            told = TranscriptionRequest(budget=Budget(retries=5))
            heard.extend([each async for each in bench_.make().transcribe(speaker.sound(), told)])

        listening = asyncio.create_task(listen())
        await bench_.server.until(
            lambda: bool(bench_.server.sessions) and len(bench_.server.last.recogniser.words) == 4
        )
        session = bench_.server.last
        assert isinstance(session, ScribeSession)
        await session.commit_unasked()
        session.socket.transport.abort()
        await bench_.server.until(lambda: len(bench_.server.sessions) == 2)
        speaker.finish()
        await asyncio.wait_for(listening, 5)
    assert heard[-1].text == text


FAULTS = [
    ("error", (StreamError, "stream_failed", True), 1),
    ("auth_error", (AuthenticationError, "invalid_api_key", False), 1),
    ("quota_exceeded", (ProviderError, "insufficient_quota", False), 1),
    ("unaccepted_terms", (ProviderError, "unaccepted_terms", False), 1),
    ("rate_limited", (RateLimited, "rate_limited", True), 1),
    ("commit_throttled", (RateLimited, "rate_limited", True), 1),
    ("queue_overflow", (ConnectionFailed, "overloaded", True), ALL),
    ("resource_exhausted", (ConnectionFailed, "overloaded", True), ALL),
    ("transcriber_error", (ConnectionFailed, "server_error", True), ALL),
    ("session_time_limit_exceeded", (ConnectionFailed, "session_expired", True), ALL),
    ("input_error", (StreamError, "invalid_request", False), 1),
    ("invalid_request", (StreamError, "invalid_request", False), 1),
    ("chunk_size_exceeded", (StreamError, "invalid_request", False), 1),
]


@pytest.mark.parametrize(("kind", "told", "sessions"), FAULTS)
async def test_what_a_message_of_a_fault_means(kind: str, told: tuple[Any, ...], sessions: int) -> None:
    trouble = await complained_with("elevenlabs", {"message_type": kind, "error": "because of this"})
    assert (trouble.told, trouble.sessions) == (told, sessions)
    assert str(trouble.error) == "because of this"


async def test_a_close_in_the_middle_is_a_break_whatever_its_code() -> None:
    for code in (1000, 1006 + 5, 1012):
        trouble = await closed_with("elevenlabs", code, "")
        assert isinstance(trouble.error, ConnectionFailed)
        assert trouble.sessions == ALL


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, "invalid_api_key", (AuthenticationError, "invalid_api_key", False)),
        (401, "quota_exceeded", (ProviderError, "insufficient_quota", False)),
        (401, "missing_permissions", (AuthenticationError, "missing_permissions", False)),
        (429, "too_many_concurrent_requests", (RateLimited, "rate_limited", True)),
        (429, "system_busy", (ConnectionFailed, "overloaded", True)),
    ],
)
async def test_what_a_refusal_means(status: int, body: str, told: tuple[Any, ...]) -> None:
    trouble = await refused_with("elevenlabs", status, {"detail": {"status": body, "message": "because"}})
    assert trouble.told == told


async def test_a_key_that_may_only_listen_is_a_good_one() -> None:
    body = {"detail": {"status": "missing_permissions", "message": "user_read"}}
    async with bench("elevenlabs", Script(refusal=Refusal(401, body))) as bench_:
        await bench_.make().check(Budget(retries=0))


async def test_an_empty_commit_is_not_a_fault_at_the_end_and_is_a_break_before_it() -> None:
    protocol = ElevenLabsSttProtocol("x")
    told = '{"message_type":"insufficient_audio_activity","error":"quiet"}'
    with pytest.raises(ConnectionFailed) as raised:
        protocol.read(told)
    assert raised.value.code == "idle"
    protocol.finish()
    assert protocol.read(told) == TranscriptUpdate(done=True)


async def test_a_quiet_user_is_transcribed_as_silence() -> None:
    says = ('{"message_type":"insufficient_audio_activity","error":"quiet"}',)
    async with bench("elevenlabs", Script([Fault(0.9, says=says)])) as bench_:
        told = TranscriptionRequest(budget=Budget(retries=5))
        heard = await heard_of(bench_.make(), SILENCE, told)
    assert (heard[-1].text, heard[-1].final) == ("", True)


def test_texts_are_read_for_what_they_are() -> None:
    protocol = ElevenLabsSttProtocol("x")
    assert protocol.read('{"message_type":"session_started","session_id":"1","config":{}}') is None
    assert protocol.read('{"message_type":"partial_transcript","text":"one"}') == TranscriptUpdate(
        partial="one"
    )
    committed = '{"message_type":"committed_transcript","text":"One."}'
    assert protocol.read(committed) == TranscriptUpdate(partial="One.")
    assert protocol.read('{"message_type":"partial_transcript","text":"two"}') == TranscriptUpdate(
        partial="One. two"
    )
    protocol.finish()
    assert protocol.read(committed) == TranscriptUpdate(partial="One. One.", done=True)
    assert protocol.read('{"message_type":"warning","warning":"x"}') is None
