import json
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with, complained_with, refused_with
from tests.servers.words import spoken
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptUpdate
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.stt_live import OpenAILiveSttProtocol


class TestContract(LiveContract):
    kind = "openai_live"


async def session_of(told: TranscriptionRequest | None = None, **config: Any) -> dict[str, Any]:
    async with bench("openai_live") as bench_:
        await heard_of(bench_.make(**config), spoken("one"), told)
        update = bench_.server.last.frames[0]
        assert update["type"] == "session.update"
        session: dict[str, Any] = update["session"]
        return session


async def test_the_default_request_has_the_documented_parameters() -> None:
    heard = {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "turn_detection": None,
        "transcription": {"model": "gpt-live-transcribe"},
    }
    assert await session_of() == {"type": "transcription", "audio": {"input": heard}}


async def test_the_vendors_own_settings_are_passed_on_under_their_names() -> None:
    options = {"noise_reduction": "near_field", "delay": "low", "prompt": "a kitchen", "keywords": ["voxd"]}
    told = TranscriptionRequest(language="en-GB", hints=("Ada",))
    heard = (await session_of(told, options=options, model="gpt-transcribe"))["audio"]["input"]
    assert heard["noise_reduction"] == {"type": "near_field"}
    assert heard["transcription"] == {
        "model": "gpt-transcribe",
        "language": "en",
        "keywords": ["voxd", "Ada"],
        "prompt": "a kitchen",
        "delay": "low",
    }


async def test_the_account_is_named_where_it_has_to_be() -> None:
    async with bench("openai_live") as bench_:
        stage = bench_.make(options={"organization": "org-1", "project": "proj-1"})
        await heard_of(stage, spoken("one"))
        headers = bench_.server.requests[0].headers
        assert bench_.server.requests[0].path == "/v1/realtime?intent=transcription"
    assert headers["OpenAI-Organization"] == "org-1"
    assert headers["OpenAI-Project"] == "proj-1"
    assert "OpenAI-Beta" not in headers


async def test_all_of_the_sound_comes_at_the_vendors_rate() -> None:
    async with bench("openai_live") as bench_:
        await heard_of(bench_.make(), spoken("one two three"))
        # Whole pieces of 120 ms: the last one is filled up.
        assert bench_.server.last.recogniser.processed_s == pytest.approx(1.2, abs=0.001)


async def test_tokens_are_reported_as_seconds() -> None:
    async with bench("openai_live") as bench_:
        used = (await heard_of(bench_.make(), spoken("one two three")))[-1].usage
    assert used == Usage(transcribed_seconds=1.2)


@pytest.mark.parametrize(
    ("error", "told", "sessions"),
    [
        ({"code": "session_expired"}, (ConnectionFailed, "session_expired", True), ALL),
        ({"type": "server_error"}, (ConnectionFailed, "server_error", True), ALL),
        ({"code": "invalid_api_key"}, (AuthenticationError, "invalid_api_key", False), 1),
        ({"code": "rate_limit_exceeded"}, (RateLimited, "rate_limited", True), 1),
        ({"code": "insufficient_quota"}, (ProviderError, "insufficient_quota", False), 1),
        ({"code": "model_not_found"}, (ProviderError, "model_not_found", False), 1),
    ],
)
@pytest.mark.parametrize("type", ["error", "conversation.item.input_audio_transcription.failed"])
async def test_what_a_message_of_a_fault_means(
    type: str, error: dict[str, str], told: tuple[Any, ...], sessions: int
) -> None:
    trouble = await complained_with("openai_live", {"type": type, "item_id": "item_1", "error": error})
    assert (trouble.told, trouble.sessions) == (told, sessions)


@pytest.mark.parametrize(
    ("code", "told", "sessions"),
    [
        (1001, (ConnectionFailed, "going_away", True), ALL),
        (3000, (AuthenticationError, "invalid_api_key", False), 1),
        (4000, (ProviderError, "beta_api_shape_disabled", False), 1),
    ],
)
async def test_what_a_close_means(code: int, told: tuple[Any, ...], sessions: int) -> None:
    trouble = await closed_with("openai_live", code, "")
    assert (trouble.told, trouble.sessions) == (told, sessions)


async def test_a_used_up_quota_is_not_a_wrong_key() -> None:
    body = {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}
    trouble = await refused_with("openai_live", 429, body)
    assert trouble.told == (ProviderError, "insufficient_quota", False)


STEM = "conversation.item.input_audio_transcription"


def protocol() -> OpenAILiveSttProtocol:
    return OpenAILiveSttProtocol("x", wire.transcribe({"model": "m"}, None))


def said(kind: str, **more: Any) -> str:
    return json.dumps({"type": kind, "event_id": "1", **more})


def completed(item: str, text: str, seconds: float = 1.0) -> str:
    usage = {"type": "duration", "seconds": seconds}
    return said(f"{STEM}.completed", item_id=item, content_index=0, transcript=text, usage=usage)


def test_deltas_are_added_and_the_whole_replaces_them() -> None:
    reader = protocol()
    assert reader.read(said(f"{STEM}.delta", item_id="a", delta="One ")) == TranscriptUpdate(partial="One")
    assert reader.read(said(f"{STEM}.delta", item_id="a", delta="tow")) == TranscriptUpdate(partial="One tow")
    assert reader.read(said("input_audio_buffer.committed", item_id="a")) is None
    used = Usage(transcribed_seconds=1.0)
    assert reader.read(completed("a", "One two.")) == TranscriptUpdate(
        partial="One two.", done=True, usage=used
    )


def test_an_utterance_of_several_items_is_done_when_all_are() -> None:
    reader = protocol()
    for item in ("a", "b"):
        reader.read(said("input_audio_buffer.committed", item_id=item))
    assert reader.read(completed("b", "two.")) == TranscriptUpdate(
        partial="two.", usage=Usage(transcribed_seconds=1.0)
    )
    whole = reader.read(completed("a", "One,"))
    assert whole is not None
    assert whole.done
    assert whole.partial == "One, two."
    assert whole.usage == Usage(transcribed_seconds=2.0)


def test_nothing_to_commit_gives_no_text_and_no_fault() -> None:
    error = {"code": "input_audio_buffer_commit_empty", "message": "buffer too small"}
    assert protocol().read(said("error", error=error)) == TranscriptUpdate(done=True)


def test_a_malformed_frame_is_a_protocol_error() -> None:
    with pytest.raises(StreamError):
        protocol().read(said(f"{STEM}.completed", item_id="a"))
    assert protocol().read(said("rate_limits.updated", rate_limits=[])) is None
