import msgspec
import pytest

from voxd.errors import StreamError
from voxd.providers.stages import Heard
from voxd.providers.stt.dialect import Dialect, Message, Reading, Transcript, Vocabulary


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
