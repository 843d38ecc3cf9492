"""Thoughts in the text of an answer are not read aloud, and everything else is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.providers.pipeline.stages.chat_completions import ChatReader
from voxd.providers.pipeline.stages.thoughts import ThinkTagFilter
from voxd.providers.vendors.ollama.wire import OllamaReader


def spoken(*pieces: str) -> str:
    aloud = ThinkTagFilter()
    return "".join(map(aloud.feed, pieces)) + aloud.end()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Hello.", "Hello."),
        ("<think>Hm.</think>\n\nHello.", "Hello."),
        ("\n<think>\nHm. a < b\n</think>Hello.", "Hello."),
        ("<think></think><think>More.</think>Hello.", "Hello."),
        ("Tags like <think>this</think> stay.", "Tags like <think>this</think> stay."),
        ("<thin air>", "<thin air>"),
        ("<thi", "<thi"),
        ("<", "<"),
        ("  ", "  "),
        ("", ""),
        ("<think>Hm", ""),
        ("<think>Hm</thin", ""),
    ],
)
def test_only_thoughts_at_the_beginning_are_left_out(said: str, heard: str) -> None:
    assert spoken(said) == heard
    assert spoken(*said) == heard


@settings(max_examples=80)
@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "a", " ", "\n"]), max_size=8), st.data())
def test_it_does_not_matter_where_an_answer_is_cut(parts: list[str], data: st.DataObject) -> None:
    said = "".join(parts)
    at = data.draw(st.integers(0, len(said)))
    assert spoken(said[:at], said[at:]) == spoken(said)


@settings(max_examples=50)
@given(st.text())
def test_an_answer_without_thoughts_is_spoken_as_it_is(said: str) -> None:
    assert spoken(said) == said or said.lstrip().startswith("<think>")


def test_words_are_not_held_back() -> None:
    aloud = ThinkTagFilter()
    assert [aloud.feed(piece) for piece in ("He", "llo <", "think>")] == ["He", "llo <", "think>"]


@pytest.mark.parametrize("pieces", [("<think>Hm.</", "think>", "It is five."), ("It is", " five.", "")])
def test_readers_say_nothing_of_them(pieces: tuple[str, ...]) -> None:
    chat, ollama = ChatReader("p"), OllamaReader("p")
    heard = "".join(chat.feed(json.dumps({"choices": [{"delta": {"content": piece}}]})) for piece in pieces)
    assert heard + chat.feed("[DONE]") == "It is five."
    heard = "".join(ollama.feed(json.dumps({"message": {"content": piece}})) for piece in pieces)
    assert heard + ollama.feed('{"done": true}') == "It is five."


def test_what_was_held_back_in_vain_is_said_at_the_end() -> None:
    chat, ollama = ChatReader("p"), OllamaReader("p")
    end = {"choices": [{"delta": {"content": "<"}, "finish_reason": "stop"}]}
    assert chat.feed(json.dumps(end)) == "<"
    assert ollama.feed('{"message": {"content": "<"}, "done": true}') == "<"
