import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import ProviderError, StreamError
from voxd.providers.pipeline.stages.contract import Transcription
from voxd.providers.pipeline.stages.stt_protocol import (
    MessageDecoder,
    SttProtocol,
    Throttle,
    TranscriptAssembler,
    TranscriptUpdate,
    WireMessage,
    query_options,
    select_terms,
)
from voxd.providers.realtime.openai_protocol import wire as openai_wire
from voxd.providers.vendors.assemblyai.stt import AssemblyAiSttProtocol
from voxd.providers.vendors.deepgram.stt import DeepgramSttProtocol
from voxd.providers.vendors.deepgram.stt_flux import DeepgramFluxSttProtocol
from voxd.providers.vendors.elevenlabs.stt import FAULTS, ElevenLabsSttProtocol
from voxd.providers.vendors.openai.stt_live import OpenAILiveSttProtocol


class Greeting(msgspec.Struct, tag="hello"):
    name: str


class Farewell(msgspec.Struct, tag="bye"):
    pass


class Plain(SttProtocol):
    def finish(self) -> tuple[WireMessage, ...]:
        return ()

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        return None


VOCABULARY = MessageDecoder(Greeting | Farewell)


def test_a_message_of_a_known_type_is_read() -> None:
    assert VOCABULARY.read('{"type":"hello","name":"Ada","more":[1]}', Plain("x")) == Greeting("Ada")
    assert VOCABULARY.read(b'{"type":"bye"}', Plain("x")) == Farewell()


def test_a_message_of_another_type_is_passed_over() -> None:
    assert VOCABULARY.read('{"type":"news","name":1}', Plain("x")) is None


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "hello",
        b"\xff\xfe\x00",
        b"\x00" * 100,
        '{"type":"hello","name":',
        '{"type":"other","name":',
        '{"type":"hello"}',
        '{"type":"hello","name":7}',
        '{"type":7}',
        '{"kind":"hello"}',
        '["hello"]',
        "null",
        "[" * 5000,
        '{"type":"hello","name":' + "[" * 5000,
    ],
)
def test_garbage_is_a_protocol_error_and_not_retried(garbage: WireMessage) -> None:
    with pytest.raises(StreamError) as raised:
        VOCABULARY.read(garbage, Plain("acme"))
    assert raised.value.provider == "acme"
    assert "hello" not in str(raised.value)


def test_a_text_grows_by_what_is_committed_and_what_is_not() -> None:
    transcript = TranscriptAssembler()
    assert transcript.add(TranscriptUpdate(partial="turn")) == Transcription("turn")
    assert transcript.add(TranscriptUpdate(partial="turn the ")) == Transcription("turn the")
    assert transcript.add(TranscriptUpdate("Turn the", 1.0)) == Transcription("Turn the")
    assert transcript.add(TranscriptUpdate(partial="light")) == Transcription("Turn the light")
    assert transcript.add(TranscriptUpdate("light off.", 2.0, stable=True)) == Transcription(
        "Turn the light off.", stable=True
    )


def test_a_reported_text_is_not_reported_again() -> None:
    transcript = TranscriptAssembler()
    assert transcript.add(TranscriptUpdate(partial="")) is None
    assert transcript.add(TranscriptUpdate("", 1.0)) is None
    assert transcript.add(TranscriptUpdate(partial="on")) == Transcription("on")
    assert transcript.add(TranscriptUpdate("on", 1.5)) is None


def test_what_was_settled_can_be_taken_back() -> None:
    transcript = TranscriptAssembler()
    transcript.add(TranscriptUpdate(partial="on", stable=True))
    assert transcript.add(TranscriptUpdate(partial="on")) == Transcription("on", stable=False)


def test_what_is_not_committed_is_forgotten_with_its_connection() -> None:
    transcript = TranscriptAssembler()
    transcript.add(TranscriptUpdate("one", 1.0))
    transcript.add(TranscriptUpdate(partial="two"))
    transcript.drop_partial()
    assert transcript.text == "one"
    assert transcript.add(TranscriptUpdate(partial="two three")) == Transcription("one two three")


STEM = "conversation.item.input_audio_transcription"
TYPES = (
    *("Results", "Metadata", "UtteranceEnd", "Error", "TurnInfo", "Connected", "Turn", "Termination"),
    *("partial_transcript", "committed_transcript", "session_started", *FAULTS),
    *("error", "input_audio_buffer.committed", f"{STEM}.delta", f"{STEM}.completed", f"{STEM}.failed"),
)
FIELDS = (
    *("start", "duration", "is_final", "channel", "alternatives", "transcript", "words", "speech_final"),
    *("event", "sequence_id", "audio_window_end", "turn_order", "end_of_turn", "turn_is_formatted", "end"),
    *("error", "error_code", "code", "description", "text", "item_id", "delta", "usage", "seconds"),
)
PROTOCOLS: dict[str, Callable[[], SttProtocol]] = {
    "deepgram": lambda: DeepgramSttProtocol("x"),
    "deepgram_flux": lambda: DeepgramFluxSttProtocol("x"),
    "assemblyai": lambda: AssemblyAiSttProtocol("x", formatted=True),
    "elevenlabs": lambda: ElevenLabsSttProtocol("x"),
    "openai_live": lambda: OpenAILiveSttProtocol("x", openai_wire.transcribe({"model": "m"}, None)),
}
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "one"])
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
odd_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "message_type": st.sampled_from(TYPES)},
    optional=dict.fromkeys(FIELDS, nested),
)


@pytest.mark.parametrize("kind", PROTOCOLS)
@examples(150, deadline=None)
@given(messages=st.lists(odd_messages | st.binary(max_size=40), min_size=1, max_size=5))
def test_every_message_is_parsed_or_reported_as_a_fault(
    kind: str, messages: list[dict[str, Any] | bytes]
) -> None:
    protocol, transcript = PROTOCOLS[kind](), TranscriptAssembler()
    for message in messages:
        update: TranscriptUpdate | None = None
        with contextlib.suppress(ProviderError):
            update = protocol.read(message if isinstance(message, bytes) else msgspec.json.encode(message))
        if update is not None:
            transcript.add(update)
    assert isinstance(transcript.text, str)


class Options(msgspec.Struct):
    fast: bool | None = None
    words: list[str] | None = None
    limit: float | None = None


def test_only_what_is_set_is_chosen_and_truth_is_written_small() -> None:
    assert query_options(Options()) == {}
    assert query_options(Options(fast=False, words=["a"], limit=0.5)) == {
        "fast": "false",
        "words": ["a"],
        "limit": 0.5,
    }


def test_likely_words_are_sent_once_and_up_to_the_limit() -> None:
    assert select_terms(["b", " a ", ""], ("a", "c" * 9), most=5, longest=8) == ["b", "a"]
    assert select_terms([str(n) for n in range(9)], most=3) == ["0", "1", "2"]


AZURE = Throttle(burst_s=5.0, speed=2.0)


@pytest.mark.parametrize(
    ("sent_s", "passed_s", "pause_s"),
    [
        (0.0, 0.0, 0.0),
        (5.0, 0.0, 0.0),
        (6.0, 0.0, 0.5),
        (6.0, 0.2, 0.3),
        (6.0, 0.5, 0.0),
        (9.0, 2.5, 0.0),
        (60.0, 60.0, 0.0),
    ],
)
def test_what_goes_beyond_the_burst_waits(sent_s: float, passed_s: float, pause_s: float) -> None:
    assert AZURE.pause_s(sent_s, passed_s) == pytest.approx(pause_s)


@examples(50)
@given(
    st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 2.0)), max_size=40),
    st.floats(0.1, 10.0),
    st.floats(1.0, 4.0),
)
def test_a_vendor_is_never_sent_more_than_it_accepts(
    pieces: list[tuple[float, float]], burst_s: float, speed: float
) -> None:
    throttle, sent_s, now_s = Throttle(burst_s, speed), 0.0, 0.0
    for piece_s, late_s in pieces:
        now_s += late_s + throttle.pause_s(sent_s, now_s + late_s)
        sent_s += piece_s
        assert sent_s <= burst_s + speed * now_s + piece_s + 1e-6


@examples(50)
@given(st.integers(0, 1200), st.floats(0.1, 10.0), st.floats(1.0, 4.0))
def test_live_speech_never_waits(tenths: int, burst_s: float, speed: float) -> None:
    assert Throttle(burst_s, speed).pause_s(tenths / 10, tenths / 10) == 0.0
