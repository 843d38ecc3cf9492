"""Takes thoughts out of an answer that begins with them, so that nobody has to listen to them.

Servers that know a model well tell its thoughts apart. vLLM without a reasoning parser, and others with a
model that is new to them, leave them in the text as the model wrote them, in ``<think>`` tags.
"""

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkTagFilter:
    """Lets through what is to be spoken of one answer; holds back no more than may be a tag."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False
        self._is_speaking = False
        self._has_thought = False

    def feed(self, text: str) -> str:
        """Return what of ``text``, and of what was held back, is to be spoken."""
        if self._is_speaking:
            return text
        self._held += text
        while self._skip():
            pass
        return self._held_back() if self._is_speaking else ""

    def end(self) -> str:
        """Return what was held back in vain: the answer is over, or the rest of it is no thought."""
        self._is_speaking = True
        if self._is_thinking:
            self._held = ""
        return self._held_back()

    def _skip(self) -> bool:
        """Go past a tag, and say whether there was one."""
        if self._is_thinking:
            before, tag, behind = self._held.partition(_CLOSE)
            self._held = behind if tag else before[-len(_CLOSE) :]
            self._is_thinking = not tag
            return bool(tag)
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held = begun.removeprefix(_OPEN)
            self._is_thinking = self._has_thought = True
            return True
        self._is_speaking = not _OPEN.startswith(begun)
        return False

    def _held_back(self) -> str:
        held, self._held = self._held, ""
        return held.lstrip() if self._has_thought else held
