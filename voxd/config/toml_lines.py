"""Finds the line of each key of a TOML text, because tomli gives values without positions.

The scanner reads a text that tomli has accepted, so it only finds the ends of keys and values.
"""

import re

import tomli

# A key from the root down: names of tables and indices of array elements.
KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BASIC = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL = r"'[^'\n]*'"
_KEY = re.compile(rf"{_BASIC}|{_LITERAL}|[^\s.=\]\"']+")
# TOML 1.0 "String": one or two quotes are allowed right before the closing delimiter.
_MULTI_BASIC = r'"""(?:[^\\]|\\.)*?"""(?!")"{0,2}'
_MULTI_LITERAL = r"'''.*?'''(?!')'{0,2}"
# Three quotes before one, which is a prefix of them.
_VALUE = re.compile(rf"{_MULTI_BASIC}|{_MULTI_LITERAL}|{_BASIC}|{_LITERAL}|[^,\]}}#\n]*", re.DOTALL)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table, key and array element of ``text``, valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        # Newlines before here are counted: each is counted once, not again for every key.
        self._counted = 0
        self._elements: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._looking_at("[["):
                table = self._header(2)
            elif self._looking_at("["):
                table = self._header(1)
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, brackets: int) -> KeyPath:
        line = self._current_line()
        self._at += brackets
        keys = self._key()
        self._at += brackets
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._last_element((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, keys[-1])
        if brackets == 1:
            path = self._last_element(path)
        else:
            self._elements[path] = self._elements.get(path, -1) + 1
            self.lines.setdefault(path, line)
            path = (*path, self._elements[path])
        self.lines[path] = line
        return path

    def _last_element(self, path: KeyPath) -> KeyPath:
        # TOML 1.0 "Array of Tables": a header below an array belongs to its newest element.
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: KeyPath) -> None:
        line = self._current_line()
        path = table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            start = self._at
            self._skip(_KEY)
            key = self._text[start : self._at]
            # tomli decodes the escapes of a quoted key, so that the path equals the one of its own result.
            keys.append(next(iter(tomli.loads(f"{key} = 0"))) if key[0] in "\"'" else key)
            self._skip(_SPACE)
            if not self._looking_at("."):
                return keys
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        if self._looking_at("["):
            self._array(path)
        elif self._looking_at("{"):
            self._at += 1
            while not self._closing("}"):
                self._pair(path)
                self._comma()
        else:
            self._skip(_VALUE)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closing("]"):
            self.lines[(*path, index)] = self._current_line()
            self._value((*path, index))
            index += 1
            self._comma()

    def _closing(self, bracket: str) -> bool:
        self._skip(_BLANK)
        if self._looking_at(bracket):
            self._at += 1
            return True
        return False

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._looking_at(","):
            self._at += 1

    def _looking_at(self, token: str) -> bool:
        return self._text.startswith(token, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._at = self._match(pattern).end()

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"line {self._current_line()} is not TOML")
        return match

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
