import json
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import LiveContract, bench
from tests.providers.vendors.stt_trouble import ALL, closed_with, complained_with
from tests.servers.live_speech import Fault, Script
from tests.servers.words import spoken
from voxd.errors import ConnectionFailed, StreamError
from voxd.net.faults import CloseReason
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import TranscriptUpdate
from voxd.providers.vendors.deepgram.stt_flux import DeepgramFluxSttProtocol


class TestContract(LiveContract):
    kind = "deepgram_flux"


async def asked(told: TranscriptionRequest | None = None, **config: Any) -> dict[str, list[str]]:
    async with bench("deepgram_flux") as bench_:
        await heard_of(bench_.make(**config), spoken("one"), told)
        return bench_.server.last.query


async def test_the_default_request_has_the_documented_parameters() -> None:
    assert await asked() == {
        "model": ["flux-general-en"],
        "encoding": ["linear16"],
        "sample_rate": ["16000"],
        "eager_eot_threshold": ["0.5"],
    }


async def test_another_language_than_english_needs_the_other_model() -> None:
    assert (await asked(language="en-GB"))["model"] == ["flux-general-en"]
    query = await asked(language="de", options={"language_hint": ["fr"]})
    assert query["model"] == ["flux-general-multi"]
    assert query["language_hint"] == ["fr", "de"]


async def test_the_vendors_own_settings_are_passed_on_under_their_names() -> None:
    options = {"eot_threshold": 0.8, "eot_timeout_ms": 3000, "keyterm": ["voxd"], "numerals": True}
    query = await asked(TranscriptionRequest(hints=("Ada",)), options=options, model="nova-3")
    assert query["eot_threshold"] == ["0.8"]
    assert query["eot_timeout_ms"] == ["3000"]
    assert query["keyterm"] == ["voxd", "Ada"]
    assert query["numerals"] == ["true"]
    assert query["model"] == ["flux-general-en"], "nova-3 is a model of version 1"


async def test_a_model_that_was_chosen_is_used_whatever_is_spoken() -> None:
    assert (await asked(model="flux-general-multi"))["model"] == ["flux-general-multi"]
    assert (await asked(model="flux-general-en", language="de"))["model"] == ["flux-general-en"]


async def test_an_eager_end_of_turn_is_reported_and_taken_back() -> None:
    async with bench("deepgram_flux", Script(settles=9)) as bench_:
        heard = await heard_of(bench_.make(), spoken("one two"))
    told = [(each.text, each.stable) for each in heard]
    assert ("one", True) in told
    assert ("one", False) in told[told.index(("one", True)) :], "more was said"
    assert told[-1][0] == "one two"


async def test_a_close_without_a_code_is_the_end_only_after_we_asked_for_it() -> None:
    async with bench("deepgram_flux", Script(settles=9)) as bench_:
        heard = await heard_of(bench_.make(), spoken("one two"))
        assert len(bench_.server.sessions) == 1
        assert bench_.server.last.frames == [{"type": "ForceEndTurn"}, {"type": "CloseStream"}]
    assert heard[-1].text == "one two"


@pytest.mark.parametrize(
    ("code", "told", "sessions"),
    [
        (1011, (ConnectionFailed, "server_error", True), ALL),
        (1008, (StreamError, "bad_audio", False), 1),
        (1012, (ConnectionFailed, "server_restart", True), ALL),
    ],
)
async def test_a_close_while_the_user_speaks_is_mapped_to_its_error(
    code: int, told: tuple[Any, ...], sessions: int
) -> None:
    trouble = await closed_with("deepgram_flux", code, "because")
    assert (trouble.told, trouble.sessions) == (told, sessions)


async def test_what_a_message_of_a_fault_means() -> None:
    fatal = {"type": "Error", "sequence_id": 1, "code": "DATA-0000", "description": "undecodable"}
    trouble = await complained_with("deepgram_flux", fatal)
    assert (trouble.told, trouble.sessions) == ((StreamError, "bad_audio", False), 1)
    trouble = await complained_with("deepgram_flux", {**fatal, "code": "NET-0001"})
    assert (trouble.told, trouble.sessions) == ((ConnectionFailed, "server_error", True), ALL)


def turn(number: int, event: str, text: str, end_s: float) -> str:
    return json.dumps(
        {
            "type": "TurnInfo",
            "sequence_id": number,
            "event": event,
            "transcript": text,
            "audio_window_end": end_s,
        }
    )


def test_a_turn_is_settled_when_it_ends() -> None:
    protocol = DeepgramFluxSttProtocol("x")
    assert protocol.read('{"type":"Connected","request_id":"1","sequence_id":0}') is None
    assert protocol.read(turn(1, "StartOfTurn", "one", 0.5)) == TranscriptUpdate(partial="one")
    assert protocol.read(turn(2, "Update", "one two", 1.0)) == TranscriptUpdate(partial="one two")
    assert protocol.read(turn(3, "EagerEndOfTurn", "one two", 1.2)) == TranscriptUpdate(
        partial="one two", stable=True
    )
    assert protocol.read(turn(4, "TurnResumed", "one two", 1.4)) == TranscriptUpdate(partial="one two")
    assert protocol.read(turn(5, "EndOfTurn", "One, two.", 2.0)) == TranscriptUpdate(
        "One, two.", 2.0, stable=True
    )


@pytest.mark.parametrize(
    ("close_code", "sent_s", "complete"),
    [(1005, 2.3, True), (1000, 2.0, True), (1011, 2.0, False), (None, 2.0, False), (1005, 9.0, False)],
)
def test_a_close_after_all_sound_was_processed_is_the_end(
    close_code: int | None, sent_s: float, complete: bool
) -> None:
    protocol = DeepgramFluxSttProtocol("x")
    protocol.read(turn(1, "Update", "one", 2.0))
    assert protocol.is_complete(CloseReason("x", "x", close_code), sent_s) is complete


async def test_a_plain_close_before_all_sound_was_processed_is_a_break() -> None:
    text = "one two three four five six seven eight nine ten"
    async with bench("deepgram_flux", Script([Fault(0.5, closes=(1000, ""))])) as bench_:
        heard = await heard_of(bench_.make(), spoken(text))
        assert len(bench_.server.sessions) == 2
    assert heard[-1].text == text


def test_messages_that_come_late_or_twice_change_nothing() -> None:
    protocol = DeepgramFluxSttProtocol("x")
    protocol.read(turn(3, "EndOfTurn", "one", 1.0))
    assert protocol.read(turn(3, "EndOfTurn", "one", 1.0)) is None
    assert protocol.read(turn(2, "Update", "on", 0.5)) is None
    assert protocol.read(turn(4, "Update", "two", 1.5)) == TranscriptUpdate(partial="two")
