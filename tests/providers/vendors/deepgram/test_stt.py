import json
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with, complained_with, refused_with
from tests.servers.words import spoken
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamError,
)
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptUpdate
from voxd.providers.vendors.deepgram.stt import DeepgramSttProtocol


class TestContract(LiveContract):
    kind = "deepgram"


async def asked(told: TranscriptionRequest | None = None, **config: Any) -> dict[str, list[str]]:
    async with bench("deepgram") as bench_:
        await heard_of(bench_.make(**config), spoken("one"), told)
        return bench_.server.last.query


async def test_the_default_request_has_the_documented_parameters() -> None:
    assert await asked() == {
        "model": ["nova-3"],
        "encoding": ["linear16"],
        "sample_rate": ["16000"],
        "channels": ["1"],
        "interim_results": ["true"],
        "smart_format": ["true"],
        "endpointing": ["300"],
    }


async def test_the_vendors_own_settings_are_passed_on_under_their_names() -> None:
    options = {"endpointing": False, "smart_format": False, "redact": ["pci", "ssn"], "tag": "hall"}
    query = await asked(options=options, language="de")
    assert query["endpointing"] == query["smart_format"] == ["false"]
    assert query["redact"] == ["pci", "ssn"]
    assert query["tag"] == ["hall"]
    assert query["language"] == ["de"]


async def test_settings_that_are_not_for_listening_are_not_passed_on() -> None:
    options = {"speed": 1.2, "ca_file": "", "callback": "https://elsewhere.example"}
    query = await asked(options=options)
    assert query["channels"] == ["1"]
    assert not {"speed", "ca_file", "callback"} & set(query)


async def test_a_synthesis_model_is_not_used_for_recognition() -> None:
    assert (await asked(model="aura-2-thalia-en"))["model"] == ["nova-3"]
    assert (await asked(model="nova-2"))["model"] == ["nova-2"]


@pytest.mark.parametrize(("model", "name"), [("nova-3-medical", "keyterm"), ("nova-2", "keywords")])
async def test_likely_words_are_sent_in_the_form_of_the_model(model: str, name: str) -> None:
    told = TranscriptionRequest(hints=("Ada Lovelace", "Grace", "Ada Lovelace"))
    query = await asked(told, model=model, options={name: ["voxd"]})
    assert query[name] == ["voxd", "Ada Lovelace", "Grace"]
    assert not {"keyterm", "keywords"} - {name} & set(query)


async def test_a_language_of_the_moment_wins() -> None:
    assert (await asked(TranscriptionRequest(language="fr"), language="de"))["language"] == ["fr"]


async def test_an_invalid_option_is_reported() -> None:
    async with bench("deepgram") as bench_:
        with pytest.raises(ConfigError, match="deepgram"):
            bench_.make(options={"smart_format": "perhaps"})


@pytest.mark.parametrize(
    ("code", "reason", "told", "sessions"),
    [
        (1011, "NET-0001: no audio", (ConnectionFailed, "server_error", True), ALL),
        (1011, "NET-0000", (ConnectionFailed, "server_error", True), ALL),
        (1008, "DATA-0000: cannot decode", (StreamError, "bad_audio", False), 1),
        (1000, "", (ConnectionFailed, "closed_by_vendor", True), ALL),
        (1001, "", (ConnectionFailed, "going_away", True), ALL),
        (1012, "", (ConnectionFailed, "server_restart", True), ALL),
    ],
)
async def test_what_a_close_means(code: int, reason: str, told: tuple[Any, ...], sessions: int) -> None:
    trouble = await closed_with("deepgram", code, reason)
    assert (trouble.told, trouble.sessions) == (told, sessions)


@pytest.mark.parametrize(
    ("frame", "told", "sessions"),
    [
        ({"variant": "NET-0001", "description": "slow"}, (ConnectionFailed, "server_error", True), ALL),
        ({"variant": "x", "code": "DATA-0000", "description": ""}, (StreamError, "bad_audio", False), 1),
        ({"variant": "WEIRD", "description": "odd", "message": "x"}, (StreamError, "stream_failed", True), 1),
    ],
)
async def test_what_a_message_of_a_fault_means(
    frame: dict[str, str], told: tuple[Any, ...], sessions: int
) -> None:
    trouble = await complained_with("deepgram", {"type": "Error", **frame})
    assert (trouble.told, trouble.sessions) == (told, sessions)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "Bad Request", (ProviderError, "Bad Request", False)),
        (401, "INVALID_AUTH", (AuthenticationError, "invalid_api_key", False)),
        (402, "ASR_PAYMENT_REQUIRED", (ProviderError, "insufficient_quota", False)),
        (403, "INSUFFICIENT_PERMISSIONS", (AuthenticationError, "invalid_api_key", False)),
        (429, "TOO_MANY_REQUESTS", (RateLimited, "rate_limited", True)),
        (503, "x", (ConnectionFailed, "server_error", True)),
    ],
)
async def test_what_a_refusal_means(status: int, code: str, told: tuple[Any, ...]) -> None:
    trouble = await refused_with("deepgram", status, {"err_code": code, "err_msg": "because"})
    assert (trouble.told, trouble.sessions) == (told, 1)


def results(text: str, start: float, duration: float, **more: bool) -> str:
    channel = {"alternatives": [{"transcript": text, "confidence": 1.0, "words": []}]}
    return json.dumps({"type": "Results", "start": start, "duration": duration, "channel": channel, **more})


def test_a_piece_that_is_final_is_settled_up_to_its_end() -> None:
    protocol = DeepgramSttProtocol("x")
    assert protocol.read(results("one", 0, 0.5)) == TranscriptUpdate(partial="one")
    assert protocol.read(results("one two", 0, 1.0, is_final=True)) == TranscriptUpdate("one two", 1.0)
    assert protocol.read(results("three", 1.0, 0.5)) == TranscriptUpdate(partial="three")
    final = results("three", 1.0, 0.75, is_final=True, speech_final=True)
    assert protocol.read(final) == TranscriptUpdate("three", 1.75, stable=True)


def test_a_piece_that_comes_late_or_twice_changes_nothing() -> None:
    protocol = DeepgramSttProtocol("x")
    protocol.read(results("one two", 0, 1.0, is_final=True))
    assert protocol.read(results("one two", 0, 1.0, is_final=True)) is None
    assert protocol.read(results("one", 0, 0.5)) is None
    assert protocol.read(results("", 1.0, 0.0, is_final=True, speech_final=True)) == TranscriptUpdate(
        stable=True
    )


def test_a_piece_without_words_is_settled_too() -> None:
    channel = '{"type":"Results","start":0,"duration":2.5,"is_final":true,"channel":{"alternatives":[]}}'
    assert DeepgramSttProtocol("x").read(channel) == TranscriptUpdate("", 2.5)


def test_the_end_of_speech_settles_the_words_until_more_come() -> None:
    protocol = DeepgramSttProtocol("x")
    assert protocol.read('{"type":"UtteranceEnd","channel":[0,1],"last_word_end":1.5}') == TranscriptUpdate(
        stable=True
    )
    assert protocol.read('{"type":"SpeechStarted","channel":[0],"timestamp":0.1}') is None
