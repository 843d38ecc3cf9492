"""Frames of servers that imitate OpenAI: an ill-typed field only loses itself."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.realtime.openai_protocol import frames


def decoded(type: str, **fields: Any) -> Any:
    return frames.decode(json.dumps({"type": type, **fields}))


@pytest.mark.parametrize(
    ("fields", "message", "code"),
    [
        ({"error": {"code": 500, "message": "m", "param": []}}, "m", "500"),
        ({"error": {"code": None, "message": ["a", "b"]}}, "a; b", None),
        ({"error": {"message": {"message": "m", "code": 3}}}, "m", None),
        ({"error": {"error": {"message": "m"}}}, "m", None),
        ({"error": "m"}, "m", None),
        ({"error": ["a", "b"]}, "a; b", None),
        ({"message": "m", "code": 7}, "m", "7"),
        ({"error": None, "detail": "m"}, "m", None),
    ],
    ids=str,
)
def test_the_message_of_an_error_is_found_in_every_shape(
    fields: dict[str, Any], message: str, code: str | None
) -> None:
    error = decoded("error", **fields).error
    assert (error.message, error.code) == (message, code)


@pytest.mark.parametrize(
    ("type", "delta", "expected"),
    [
        ("response.output_text.delta", ["a", {"type": "text", "text": "b"}], "ab"),
        ("response.text.delta", {"text": "b"}, "b"),
        ("response.output_audio_transcript.delta", None, ""),
        ("response.audio_transcript.delta", 7, "7"),
        ("response.refusal.delta", "I can't", "I can't"),
        ("response.output_audio.delta", None, b""),
        ("response.audio.delta", "AAA=", b"\0\0"),
    ],
)
def test_a_piece_in_another_shape_is_understood(type: str, delta: Any, expected: str | bytes) -> None:
    assert decoded(type, delta=delta, response_id=None, item_id=4, content_index="0").delta == expected


def test_the_words_of_a_refusal_are_the_text_of_the_response() -> None:
    done = decoded("response.refusal.done", refusal="I can't.", response_id="r")
    assert (done.text, done.response_id) == ("I can't.", "r")


def test_a_response_keeps_what_is_well_typed() -> None:
    usage = {
        "input_token_details": {"audio_tokens": 3.0, "text_tokens": "x", "cached_tokens": None},
        "output_token_details": {"audio_tokens": 2.7, "text_tokens": "4"},
        "total_tokens": {},
    }
    output = [{"type": "message", "content": "hi"}, 7, {"type": "function_call", "name": "f", "call_id": 7}]
    response = decoded(
        "response.done",
        response={"id": None, "status": "completed", "status_details": [], "output": output, "usage": usage},
    ).response
    spent = response.spent()
    assert (spent.input_audio_tokens, spent.output_audio_tokens, spent.output_text_tokens) == (3, 3, 4)
    assert [item.words for item in response.output] == ["hi", ""]
    assert (response.output[1].name, response.output[1].call_id) == ("f", "7")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "text", "error"]), inner)
    ),
    max_leaves=6,
)


@examples(150)
@given(odd=JSON_VALUES, field=st.sampled_from(["response_id", "item_id", "content_index", "extra"]))
def test_no_extra_voids_a_frame(odd: Any, field: str) -> None:
    assert decoded("response.output_audio.delta", delta="AAA=", **{field: odd}).delta == b"\0\0"
    assert decoded("response.output_text.delta", delta="hi", **{field: odd}).delta == "hi"
    response = {"id": "r", "status": "completed", "output": odd, "usage": odd, "status_details": odd}
    assert decoded("response.done", response=response).response.id == "r"
    for type in ("session.created", "response.created", "rate_limits.updated", "a.new.one"):
        decoded(type, session=odd, response=odd, rate_limits=odd)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", '{"type": null}', '{"type": ["error"]}', "{}"])
def test_what_is_no_frame_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="vendor sent"):
        frames.decode(text)
