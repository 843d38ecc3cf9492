import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with, complained_with, refused_with
from tests.servers.words import spoken
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptAssembler, TranscriptUpdate
from voxd.providers.vendors.assemblyai.stt import AssemblyAiSttProtocol


class TestContract(LiveContract):
    kind = "assemblyai"


async def asked(told: TranscriptionRequest | None = None, **config: Any) -> dict[str, list[str]]:
    async with bench("assemblyai") as bench_:
        await heard_of(bench_.make(**config), spoken("one"), told)
        return bench_.server.last.query


async def test_the_default_request_has_the_documented_parameters() -> None:
    assert await asked() == {
        "speech_model": ["universal-3-6-pro"],
        "encoding": ["pcm_s16le"],
        "sample_rate": ["16000"],
        "format_turns": ["true"],
    }


async def test_the_vendors_own_settings_are_passed_on_under_their_names() -> None:
    options = {"max_turn_silence": 800, "mode": "min_latency", "keyterms_prompt": ["voxd"]}
    told = TranscriptionRequest(language="de-AT", hints=("Ada", "x" * 60))
    query = await asked(told, options=options, model="universal-streaming-english")
    assert query["speech_model"] == ["universal-streaming-english"]
    assert query["max_turn_silence"] == ["800"]
    assert query["mode"] == ["min_latency"]
    assert json.loads(query["keyterms_prompt"][0]) == ["voxd", "Ada"], "the vendor refuses long terms"
    assert json.loads(query["language_codes"][0]) == ["de"]


async def test_the_key_is_sent_as_it_is() -> None:
    async with bench("assemblyai") as bench_:
        await heard_of(bench_.make(), spoken("one"))
        headers = bench_.server.requests[0].headers
    assert headers["Authorization"] == "live-key-0123456789"
    assert headers["AssemblyAI-Version"] == "2025-05-12"


async def test_without_punctuation_a_turn_is_settled_at_once() -> None:
    async with bench("assemblyai") as bench_:
        heard = await heard_of(bench_.make(options={"format_turns": False}), spoken("one two three"))
    assert heard[-1].text == "one two three"


async def test_what_is_paid_is_the_time_the_session_was_open() -> None:
    async with bench("assemblyai") as bench_:
        used = (await heard_of(bench_.make(), spoken("one two three four five")))[-1].usage
        told = json.loads(bench_.server.last.told[-1])
    assert used.transcribed_seconds == told["session_duration_seconds"] == 3


CODES = [
    (1013, (ConnectionFailed, "overloaded", True), ALL),
    (3005, (ConnectionFailed, "server_error", True), ALL),
    (3006, (StreamError, "invalid_request", False), 1),
    (3007, (StreamError, "bad_audio", False), 1),
    (3008, (ConnectionFailed, "session_expired", True), ALL),
    (3009, (RateLimited, "rate_limited", True), 1),
    (4001, (AuthenticationError, "invalid_api_key", False), 1),
    (4002, (ProviderError, "insufficient_quota", False), 1),
    (4003, (ProviderError, "insufficient_quota", False), 1),
    (4031, (ConnectionFailed, "idle", True), ALL),
    (4102, (RateLimited, "rate_limited", True), 1),
    (1011, (ConnectionFailed, "server_error", True), ALL),
]


@pytest.mark.parametrize(("code", "told", "sessions"), CODES)
async def test_what_a_close_means(code: int, told: tuple[Any, ...], sessions: int) -> None:
    trouble = await closed_with("assemblyai", code, "See Error message for details")
    assert (trouble.told, trouble.sessions) == (told, sessions)


@pytest.mark.parametrize(("code", "told", "sessions"), CODES)
async def test_what_a_message_of_a_fault_means(code: int, told: tuple[Any, ...], sessions: int) -> None:
    frame = {"type": "Error", "error_code": code, "error": "because of this"}
    trouble = await complained_with("assemblyai", frame)
    assert (trouble.told, trouble.sessions) == (told, sessions)
    assert str(trouble.error) == "because of this"


async def test_a_fault_without_a_number_is_one_too() -> None:
    trouble = await complained_with("assemblyai", {"type": "Error", "error": "odd"})
    assert trouble.told == (ConnectionFailed, "server_error", True)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, (AuthenticationError, "invalid_api_key", False)),
        (429, (RateLimited, "rate_limited", True)),
        (500, (ConnectionFailed, "server_error", True)),
    ],
)
async def test_what_a_refusal_means(status: int, told: tuple[Any, ...]) -> None:
    assert (await refused_with("assemblyai", status, {"error": "because"})).told == told


def turn(order: int, text: str, *, ended: bool = False, formatted: bool = False, words: bool = True) -> str:
    told = [
        {"text": word, "start": 1000 * place, "end": 1000 * place + 500, "word_is_final": ended}
        for place, word in enumerate(text.split(), start=10 * order)
    ]
    return json.dumps(
        {
            "type": "Turn",
            "turn_order": order,
            "end_of_turn": ended,
            "turn_is_formatted": formatted,
            "transcript": text,
            "words": told if words else [],
        }
    )


def test_a_turn_is_settled_when_it_has_its_punctuation() -> None:
    protocol = AssemblyAiSttProtocol("x", formatted=True)
    assert protocol.read('{"type":"Begin","id":"1","expires_at":1}') is None
    assert protocol.read(turn(0, "on two")) == TranscriptUpdate(partial="on two")
    assert protocol.read(turn(0, "one two", ended=True)) == TranscriptUpdate(partial="one two", stable=True)
    final = turn(0, "One two.", ended=True, formatted=True)
    assert protocol.read(final) == TranscriptUpdate("One two.", 1.5, partial="", stable=True)
    assert protocol.read(turn(1, "three")) == TranscriptUpdate(partial="three")


def test_a_turn_may_begin_before_the_last_one_is_settled() -> None:
    protocol = AssemblyAiSttProtocol("x", formatted=True)
    protocol.read(turn(0, "one", ended=True))
    assert protocol.read(turn(1, "two")) == TranscriptUpdate(partial="one two")
    assert protocol.read(turn(0, "One.", ended=True, formatted=True)) == TranscriptUpdate(
        "One.", 0.5, partial="two"
    )


def test_a_turn_that_comes_late_or_twice_changes_nothing() -> None:
    protocol = AssemblyAiSttProtocol("x", formatted=True)
    final = turn(0, "One.", ended=True, formatted=True)
    protocol.read(final)
    assert protocol.read(final) is None
    protocol.read(turn(1, "two", ended=True))
    assert protocol.read(turn(1, "tw")) is None


def test_a_turn_at_an_unknown_position_stays_open() -> None:
    protocol = AssemblyAiSttProtocol("x", formatted=False)
    assert protocol.read(turn(0, "one", ended=True, words=False)) == TranscriptUpdate(
        partial="one", stable=True
    )
    assert protocol.read(turn(1, "", ended=True)) == TranscriptUpdate(partial="one", stable=True)


@given(st.data())
def test_in_whatever_order_and_number_turns_come_the_text_is_the_same(data: st.DataObject) -> None:
    # Each turn's messages keep their order; turns may overlap, and each message may come again.
    texts = ["one two", "three", "four five"]
    left = [
        [turn(n, text), turn(n, text, ended=True), turn(n, f"{text}.", ended=True, formatted=True)]
        for n, text in enumerate(texts)
    ]
    protocol, transcript = AssemblyAiSttProtocol("x", formatted=True), TranscriptAssembler()
    while any(left):
        message = data.draw(st.sampled_from([each for each in left if each])).pop(0)
        for _ in range(data.draw(st.integers(1, 2))):
            if update := protocol.read(message):
                transcript.add(update)
    assert transcript.text == "one two. three. four five."
