"""The control tokens, thoughts and calls that models write into their text, and what ends them.

Sources: the chat templates of DeepSeek, Qwen, Kimi, Mistral, Llama, Gemma, Command and gpt-oss (harmony), and
what their servers are reported to leave in the text.
"""

import re
from collections.abc import Callable
from typing import NamedTuple


class MarkupVerdict(NamedTuple):
    """What a construct at the beginning of the held text is.

    It has ``length`` characters, of which ``spoken`` is spoken. With ``until`` a block begins, which ends
    behind the match of that expression, or with the brackets of a value for `JSON`. ``is_inner``: it is no
    part of the answer. ``retracts``: nor is anything before it.
    """

    length: int
    spoken: str = ""
    until: re.Pattern[str] | None = None
    is_inner: bool = False
    retracts: bool = False


WAIT = MarkupVerdict(-1)
"""More characters are needed."""

JSON = re.compile(r"(?!)")
"""A block that ends where the brackets of a JSON value are closed."""

Judge = Callable[[str, str, bool], MarkupVerdict | None]
"""Takes the held text, the line before it, and whether nothing follows; None means "not mine"."""

THOUGHTS = (
    r"(?:[a-z]+[:_])?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratch_?pad|inner_?monologue|analysis)"
)
CALLS = (
    r"(?:[a-z]+:)?(?:tool_?calls?|tool_?use|tool_?code|tool_?resp(?:onse)?|tool_?results?|tool_?outputs?"
    r"|function_?calls?|function_?results?|functions?|invoke|parameters?|arguments?|execute|render"
    r"|(?:[a-z]+_)*tools?(?:_[a-z]+)*)"
)
"""Names of the tags around calls of tools and their results."""

# A token of a chat template; DeepSeek writes it with wide bars.
_CONTROL = re.compile(r"<[|｜]([^<>\s|｜]{1,64})[|｜]>")  # noqa: RUF001
_OPEN_CONTROL = re.compile(r"<(?:[|｜][^<>\s|｜]{0,64}[|｜]?)?$")  # noqa: RUF001
_OPENS = re.compile(r"(?i)(?:tool|function|call|think|thought|action)")
_HARMONY_END = re.compile(r"<\|(?:end|call|return)\|>|(?=<\|start\|>)|(?=<\|channel\|>)")
_HEADER = re.compile(r"<\|start\|>[^<]{0,80}(?:<\|message\|>|(?=<\|channel\|>))")
_CHANNEL = re.compile(r"<\|channel\|>([^<]{0,120}(?:<\|constrain\|>[^<]{0,40})?)<\|message\|>")
_TURN = r"<(?:\|(?:im_start|start_header_id|start_of_role)\||start_of_turn|\|turn)>"
_ROLE = re.compile(rf"{_TURN}\w*(?:<\|(?:end_header_id|end_of_role)\|>)?\n*")
_ROLE_WAITS = re.compile(rf"{_TURN}\w*(?:<\|?[a-z_]*\|?)?\n*$")
# Gemma opens with "<|name>" and closes with "<name|>".
_HALF = re.compile(r"<(?:\|([a-z_]{1,32})|([a-z_]{1,32})\|)>")
_LLAMA_CALL_END = re.compile(r"<\|(?:eom_id|eot_id|im_end|end|/tool_call)\|>")
WORD_TOKEN = re.compile(
    r"\[(/?)(THINK|INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|ARGS|BOS|EOS)\]"
)


def until_tag(pattern: str) -> re.Pattern[str]:
    """Return the end of a block, in any case of letters."""
    return re.compile(pattern, re.IGNORECASE)


def control_token(held: str, is_last: bool) -> MarkupVerdict | None:
    """Tokens of chat templates, with the names of roles and channels that stand between them."""
    if role := _ROLE.match(held):
        waits = not is_last and _ROLE_WAITS.match(held)
        return WAIT if waits else MarkupVerdict(role.end(), is_inner=True)
    if half := _HALF.match(held):
        return _half_token(half)
    found = _CONTROL.match(held)
    if found is None:
        return _cut_off(held, is_last) if _OPEN_CONTROL.match(held) else None
    name = found[1].lower()
    if name == "channel":
        if header := _CHANNEL.match(held):
            is_final = header[1].strip().lower().startswith("final")
            return MarkupVerdict(header.end(), until=None if is_final else _HARMONY_END, is_inner=True)
        return MarkupVerdict(found.end(), is_inner=True) if is_last or len(held) > 250 else WAIT
    if name == "start":
        if header := _HEADER.match(held):
            return MarkupVerdict(header.end(), is_inner=True)
        return MarkupVerdict(found.end(), is_inner=True) if is_last or len(held) > 100 else WAIT
    if name in {"python_tag", "tool_call"}:
        return MarkupVerdict(found.end(), until=_LLAMA_CALL_END, is_inner=True)
    # "begin" and "start" open a block only around calls and thoughts: "begin_of_text" does not.
    if _OPENS.search(name) and (begun := re.search(r"begin|start", name)):
        end = re.escape(name[: begun.start()]) + "end" + re.escape(name[begun.end() :])
        end_tag = until_tag(rf"<[|｜]{end}[|｜]>")  # noqa: RUF001
        return MarkupVerdict(found.end(), until=end_tag, is_inner=True)
    return MarkupVerdict(
        found.end(), is_inner=True, retracts=bool(re.match(r"end_?(of_?)?thi?(nk|ought)", name))
    )


def _half_token(found: re.Match[str]) -> MarkupVerdict:
    opens, closes = found[1], found[2]
    if opens and (opens == "channel" or _OPENS.search(opens)):
        return MarkupVerdict(found.end(), until=until_tag(rf"<{opens}\|>"), is_inner=True)
    return MarkupVerdict(found.end(), is_inner=True, retracts=closes == "channel")


def _cut_off(held: str, is_last: bool) -> MarkupVerdict | None:
    """The beginning of a token, which the end of the answer cut off; "<" alone is text."""
    if not is_last:
        return WAIT
    return MarkupVerdict(len(held), is_inner=True) if len(held) > 1 else None


def word_token(found: re.Match[str]) -> MarkupVerdict:
    """Tokens of Mistral, such as ``[THINK]``: ``found`` is a match of `WORD_TOKEN`."""
    closes, name = bool(found[1]), found[2]
    if name == "THINK":
        if closes:
            return MarkupVerdict(found.end(), is_inner=True, retracts=True)
        return MarkupVerdict(found.end(), until=until_tag(r"\[/THINK\]"), is_inner=True)
    if name in {"TOOL_CALLS", "TOOL_RESULTS", "AVAILABLE_TOOLS"} and not closes:
        end = rf"\[/{name}\]|(?=\n)"
        return MarkupVerdict(found.end(), until=until_tag(end), is_inner=True)
    return MarkupVerdict(found.end(), is_inner=True)


def diamond(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``◁think▷``, the thoughts of Kimi."""
    for text, verdict in (
        ("◁think▷", MarkupVerdict(7, until=until_tag("◁/think▷"), is_inner=True)),
        ("◁/think▷", MarkupVerdict(8, is_inner=True, retracts=True)),
    ):
        if held.startswith(text):
            return verdict
        if text.startswith(held) and not is_last:
            return WAIT
    return None


def leaked(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``analysis…assistantfinal``: harmony whose control tokens were removed."""
    if found := re.match(r"assistant(?:final|commentary)(?=[A-Z\s\"'*])", held):
        return MarkupVerdict(found.end(), is_inner=True, retracts=True)
    is_begun = any(text.startswith(held) for text in ("assistantfinal", "assistantcommentary"))
    return WAIT if not is_last and is_begun else None
