"""What was said, of the text that a recogniser returns: words, without its own tokens and notes on sounds."""

import re

# Whisper's "<|en|>" and "<|0.00|>", SenseVoice's "<|NEUTRAL|>": a server should have removed them.
_CONTROL = re.compile(r"<[|｜][^<>\n]{0,64}?[|｜]>")  # noqa: RUF001
# "[BLANK_AUDIO]", "(music playing)", "*coughs*", "♪": "(555)" begins a number.
_NOTE = re.compile(r"\[[^\[\]\d]*\]|\([^()\d]*\)|\*[^*\d]*\*|【[^】\d]*】|[♪♫🎵🎶]+")


def said(text: str) -> str:
    """Return the words of the transcript ``text``, "" when there are only notes such as "[BLANK_AUDIO]".

    A note beside words stays: vendors write a name that they removed in brackets too.
    """
    if "<" in text:
        text = " ".join(_CONTROL.sub(" ", text).split())
    return text if any(letter.isalnum() for letter in _NOTE.sub(" ", text)) else ""
