"""Hugging Face's speech recognition: requests, answers, faults."""

from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import UploadContract, upload_fixtures
from tests.rig.transports import KEY, RecordedTransport, open_transport
from tests.servers.huggingface_asr import ROUTER, HuggingFaceServer, complaint
from tests.servers.plain_http import Play, plain_http, reply
from tests.servers.words import spoken
from voxd.errors import ProviderError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.huggingface.stt import HuggingFaceStt


class TestContract(UploadContract):
    kind = HuggingFaceStt
    fake = HuggingFaceServer
    base = ROUTER


server, transport = upload_fixtures(HuggingFaceServer, ROUTER)


def stage(transport: RecordedTransport, **config: Any) -> HuggingFaceStt:
    return HuggingFaceStt(StageConfig("ears", "huggingface", **config), transport)


async def test_the_sound_goes_to_the_model_as_it_is(
    server: HuggingFaceServer, transport: RecordedTransport
) -> None:
    [heard] = await heard_of(stage(transport, model="org/ears"), spoken(SAID))
    assert (heard.text, heard.usage.transcribed_seconds) == (SAID, pytest.approx(1.2))
    [asked] = server.plain.requests
    assert (asked.target, asked.headers["content-type"]) == (f"{ROUTER}/models/org/ears", "audio/flac")


@pytest.mark.parametrize(
    ("play", "code", "retryable"),
    [
        (complaint(401, "Invalid credentials in Authorization header"), "invalid_api_key", False),
        (complaint(402, "You have exceeded your monthly included credits."), "insufficient_quota", False),
        (complaint(403, "This token lacks the scope."), "invalid_api_key", False),
        (complaint(404, "Model org/ears does not exist"), "model_not_found", False),
        (complaint(400, ["Malformed soundfile", "again"]), "refused", False),
        (complaint(429, "Rate limit reached."), "rate_limited", True),
        (complaint(503, "Model is loading", estimated_time=3.5), "overloaded", True),
        (complaint(500, "boom"), "server_error", True),
        (reply(b"Bad Gateway", status=502), "server_error", True),
        (reply(b'{"why":' + b"[" * 20_000, status=500), "server_error", True),
        (reply(b'{"text": null}'), "bad_answer", True),
    ],
)
async def test_every_fault_is_mapped_to_its_error(
    server: HuggingFaceServer, transport: RecordedTransport, play: Play, code: str, retryable: bool
) -> None:
    server.script = [play]
    with pytest.raises(ProviderError) as raised:
        await heard_of(stage(transport), spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (code, retryable, "ears")


async def test_the_vendors_own_words_and_wait_are_kept(
    server: HuggingFaceServer, transport: RecordedTransport
) -> None:
    server.script = [complaint(503, "Model is loading", estimated_time=3.5)]
    with pytest.raises(ProviderError, match="Model is loading") as raised:
        await heard_of(stage(transport), spoken(SAID), TranscriptionRequest(budget=Budget(retries=0)))
    assert raised.value.retry_after_s == 3.5


async def test_an_endpoint_of_ones_own_is_used_as_it_is_and_needs_no_key() -> None:
    async with (
        plain_http(reply(b'{"text": "ok"}', content_type="application/json")) as plain,
        open_transport(f"{plain.url}/my/ears", "", name="ears", stage="stt") as transport,
    ):
        assert (await heard_of(stage(transport), spoken(SAID)))[-1].text == "ok"
        assert plain.requests[0].target == "/my/ears"
        assert "authorization" not in plain.requests[0].headers
        plain.script(reply(b"", status=405))
        await stage(transport).check(Budget())


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("transcribe", "https://router.huggingface.co/hf-inference/models/openai/whisper-large-v3"),
        ("check", "https://huggingface.co/api/whoami-v2"),
    ],
)
async def test_what_hugging_face_itself_is_asked(
    kind: str, url: str, transport: RecordedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def request(build: Any, *_: Any, **__: Any) -> Any:
        calls.append(build(Access("", KEY)))
        raise ProviderError("enough", code="refused")

    monkeypatch.setattr(transport, "request", request)
    stt = stage(transport)
    with pytest.raises(ProviderError, match="enough"):
        await (stt.check(Budget()) if kind == "check" else heard_of(stt, spoken(SAID)))
    assert calls[0].url == url
    assert calls[0].headers["Authorization"] == f"Bearer {KEY}"
