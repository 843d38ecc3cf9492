"""Typed events of a provider: their fields are the payloads of the table; a dict becomes one of them."""

from typing import Any

import msgspec
import pytest

from voxd.errors import ProviderError
from voxd.events import EVENT_TYPES
from voxd.events import EventType as E
from voxd.providers.events import TYPED_EVENTS, ErrorOccurred, OtherEvent, TextOutput, event_of


@pytest.mark.parametrize("type", TYPED_EVENTS)
def test_the_fields_of_an_event_are_the_payload_of_its_type(type: E) -> None:
    fields = {field.name for field in msgspec.structs.fields(TYPED_EVENTS[type])}
    assert fields == set(EVENT_TYPES[type].fields)


def test_a_type_and_a_dict_become_a_typed_event_without_unknown_entries() -> None:
    event = event_of("text.output", {"text": "hello", "colour": "red"})
    assert event == TextOutput("hello")
    assert event.data == {"text": "hello", "is_partial": False, "response_id": None}


def test_an_event_without_a_class_keeps_its_payload() -> None:
    assert event_of(E.CACHE_USED, {"cache": "c", "hit": True}) == OtherEvent(
        E.CACHE_USED, {"cache": "c", "hit": True}
    )


def test_an_error_is_published_with_the_entries_that_were_reported() -> None:
    fault = ValueError("x")
    assert event_of(E.ERROR_GENERAL, {"error": fault, "recoverable": False}).data == {
        "code": "",
        "message": "",
        "hint": "",
        "error": fault,
        "recoverable": False,
    }
    assert set(ErrorOccurred("code").data) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    ("type", "data"),
    [(E.TEXT_OUTPUT, {}), (E.TEXT_OUTPUT, {"text": 5}), (E.AUDIO_OUTPUT_CHUNK, {"audio_data": b""})],
)
def test_a_malformed_payload_is_an_error_of_the_provider(type: E, data: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        event_of(type, data)
    assert caught.value.code == "bad_event"


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no\\.such"):
        event_of("no.such", {})
