import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.errors import ProviderError, StreamError
from voxd.providers.pipeline.stages.contract import Heard
from voxd.providers.pipeline.stages.stt_protocol import Dialect, Message, Reading, Transcript, Vocabulary
from voxd.providers.realtime.openai_protocol import wire as openai_wire
from voxd.providers.vendors.assemblyai.stt import StreamingV3
from voxd.providers.vendors.deepgram.stt import ListenV1
from voxd.providers.vendors.deepgram.stt_flux import ListenV2
from voxd.providers.vendors.elevenlabs.stt import FAULTS, ScribeRealtime
from voxd.providers.vendors.openai.stt_live import Transcription


class Greeting(msgspec.Struct, tag="hello"):
    name: str


class Farewell(msgspec.Struct, tag="bye"):
    pass


class Plain(Dialect):
    def finish(self) -> tuple[Message, ...]:
        return ()

    def read(self, message: Message) -> Reading | None:
        return None


VOCABULARY = Vocabulary(Greeting | Farewell)


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
def test_garbage_is_told_as_such_and_not_repeated(garbage: Message) -> None:
    with pytest.raises(StreamError) as raised:
        VOCABULARY.read(garbage, Plain("acme"))
    assert raised.value.provider == "acme"
    assert "hello" not in str(raised.value)


def test_a_text_grows_by_what_is_committed_and_what_is_not() -> None:
    transcript = Transcript()
    assert transcript.take(Reading(partial="turn")) == Heard("turn")
    assert transcript.take(Reading(partial="turn the ")) == Heard("turn the")
    assert transcript.take(Reading("Turn the", 1.0)) == Heard("Turn the")
    assert transcript.take(Reading(partial="light")) == Heard("Turn the light")
    assert transcript.take(Reading("light off.", 2.0, stable=True)) == Heard(
        "Turn the light off.", stable=True
    )


def test_what_was_told_is_not_told_again() -> None:
    transcript = Transcript()
    assert transcript.take(Reading(partial="")) is None
    assert transcript.take(Reading("", 1.0)) is None
    assert transcript.take(Reading(partial="on")) == Heard("on")
    assert transcript.take(Reading("on", 1.5)) is None


def test_what_was_settled_can_be_taken_back() -> None:
    transcript = Transcript()
    transcript.take(Reading(partial="on", stable=True))
    assert transcript.take(Reading(partial="on")) == Heard("on", stable=False)


def test_what_is_not_committed_is_forgotten_with_its_connection() -> None:
    transcript = Transcript()
    transcript.take(Reading("one", 1.0))
    transcript.take(Reading(partial="two"))
    transcript.break_off()
    assert transcript.text == "one"
    assert transcript.take(Reading(partial="two three")) == Heard("one two three")


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
DIALECTS: dict[str, Callable[[], Dialect]] = {
    "deepgram": lambda: ListenV1("x"),
    "deepgram_flux": lambda: ListenV2("x"),
    "assemblyai": lambda: StreamingV3("x", formatted=True),
    "elevenlabs": lambda: ScribeRealtime("x"),
    "openai_live": lambda: Transcription("x", openai_wire.transcribe({"model": "m"}, None)),
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


@pytest.mark.parametrize("kind", DIALECTS)
@settings(max_examples=150, deadline=None)
@given(messages=st.lists(odd_messages | st.binary(max_size=40), min_size=1, max_size=5))
def test_whatever_comes_is_read_or_told_as_a_fault(kind: str, messages: list[dict[str, Any] | bytes]) -> None:
    dialect, transcript = DIALECTS[kind](), Transcript()
    for message in messages:
        reading: Reading | None = None
        with contextlib.suppress(ProviderError):
            reading = dialect.read(message if isinstance(message, bytes) else msgspec.json.encode(message))
        if reading is not None:
            transcript.take(reading)
    assert isinstance(transcript.text, str)
