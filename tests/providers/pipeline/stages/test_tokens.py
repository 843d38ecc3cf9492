"""Estimates of tokens, for limits, the length of a history and the bill of a reply that was broken off."""

import pytest

from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt
from voxd.providers.pipeline.stages.tokens import estimated_usage, request_tokens, text_tokens
from voxd.providers.settings import ToolSpec

ASK = ChatMessage("user", "Do it.")


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("eight ch", 2)])
def test_four_letters_are_a_token(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


def test_the_estimate_grows_with_all_that_is_sent() -> None:
    def size(**more: object) -> int:
        return request_tokens(Prompt("Be brief.", (ASK,), **more))  # type: ignore[arg-type]

    tool = ToolSpec("set_timer", "Set a timer. " * 10, {"type": "object"})
    assert size() == request_tokens(Prompt("Be brief.", (ASK,), max_output_tokens=256))
    assert size(tools=(tool,)) > size() + 30
    assert size(max_output_tokens=2000) == size() - 256 + 2000
    assert request_tokens(Prompt("", (ChatMessage("user", "漢字" * 100),))) >= 150 + 256
    # A character that UTF-8 cannot hold is one byte, and a part of a token is one.
    assert request_tokens(Prompt("\ud800", ())) == 257


def test_limit_and_bill_count_the_same_prompt() -> None:
    tool = ToolSpec("set_timer", "Set a timer.", {"type": "object", "properties": {"s": {"type": "number"}}})
    prompt = Prompt("Be brief.", (ChatMessage("user", "Ten minutes."),), tools=(tool,), max_output_tokens=9)
    assert estimated_usage(prompt, "Done.").input_text_tokens == request_tokens(prompt) - 9
    assert estimated_usage(prompt, "Done.").output_text_tokens == text_tokens("Done.")
