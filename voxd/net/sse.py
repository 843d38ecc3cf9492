"""Decodes bytes into lines and events: server-sent ones, or JSON without them; no socket, no clock."""

from collections.abc import Iterator

from voxd.errors import StreamError
from voxd.json_text import json_or

_BOM = b"\xef\xbb\xbf"
_FIELDS = ("data", "event", "id", "retry", "")
_NOT_JSON = object()

# As long as the longest body: some vendors send a whole sound as base64 in one line.
MAX_LINE_BYTES = 16 * 1024 * 1024


class LineDecoder:
    """Cuts a stream of UTF-8 into lines that end in ``\\r\\n``, ``\\n`` or, with ``bare_cr``, ``\\r``."""

    def __init__(self, *, bare_cr: bool = False) -> None:
        self._rest = bytearray()
        self._bare_cr = bare_cr
        self._after_cr = False

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that ``piece`` completes. Raises `StreamError` when one is too long."""
        if self._bare_cr:
            piece = self._with_newlines(piece)
        self._rest += piece
        if b"\n" not in piece:
            self._check()
            return []
        # Not `str.splitlines`, which also cuts at U+2028 and U+0085: JSON may hold both (RFC 8259, section
        # 7). A character may be split between pieces, so a line is decoded when it is complete.
        *complete, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        self._check()
        return [_text(line) for line in complete]

    def end(self) -> list[str]:
        """Return the last line, which has no end, unless it is empty."""
        rest = bytes(self._rest)
        self._rest = bytearray()
        return [_text(rest)] if rest else []

    def _with_newlines(self, piece: bytes) -> bytes:
        # The CR of a CRLF was the end of the last piece and has ended the line already.
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
            self._after_cr = False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check(self) -> None:
        if len(self._rest) > MAX_LINE_BYTES:
            raise StreamError("the vendor sent a line without end", code="too_big")


class SseDecoder:
    """Reads server-sent events (HTML standard, section 9.2.6): type ("" where none is named) and data.

    A JSON text outside of any field is an event too: some gateways report an error so, in mid-stream.
    """

    def __init__(self) -> None:
        self._lines = LineDecoder(bare_cr=True)
        self._type = ""
        self._data: list[str] = []
        self._bare: list[str] = []
        self._is_first = True

    def feed(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Yield the events that ``piece`` completes. Raises `StreamError`."""
        for line in self._lines.feed(piece):
            yield from self._take(line)

    def end(self) -> Iterator[tuple[str, str]]:
        """Yield the event the stream ended in: some servers leave out the last empty line."""
        for line in self._lines.end():
            yield from self._take(line)
        yield from self._take("")

    def _take(self, line: str) -> Iterator[tuple[str, str]]:
        if self._is_first:
            # HTML standard, section 9.2.6: one leading byte order mark is stripped.
            line = line.removeprefix("\ufeff")
            self._is_first = False
        if not line:
            # Without data nothing is dispatched, as the standard says; comments (":ping") keep the connection
            # alive. An empty ``data:`` is dispatched by the standard, but says nothing.
            if any(self._data) or (self._type and self._data):
                yield self._type, "\n".join(self._data)
            elif self._bare:
                yield self._type, "\n".join(self._bare)
            self._type, self._data, self._bare = "", [], []
            return
        name, _, value = line.partition(":")
        # No field begins so: the standard ignores such a line.
        if name not in _FIELDS and (self._bare or line.startswith(("{", "["))):
            self._bare.append(line)
            return
        # One space after the colon belongs to the format, further ones to the value.
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)


class JsonDecoder:
    """Reads a body of JSON: a text in each line, else all of it as one text. The type of each is ""."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._whole: list[str] = []

    def feed(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Yield the texts that ``piece`` completes. Raises `StreamError`."""
        for line in self._lines.feed(piece):
            yield from self._take(line)

    def end(self) -> Iterator[tuple[str, str]]:
        """Yield the last text."""
        for line in self._lines.end():
            yield from self._take(line)
        if self._whole:
            yield "", "\n".join(self._whole)

    def _take(self, line: str) -> Iterator[tuple[str, str]]:
        # One that is printed over several lines is complete only with the body.
        if self._whole or json_or(line, _NOT_JSON) is _NOT_JSON:
            self._whole += [line] if self._whole or line.strip() else []
        else:
            yield "", line


class EventDecoder:
    """Reads the events of a body by what it is: server-sent ones, lines of JSON, or one JSON text.

    The media type does not say: a whole reply or an error comes where a stream was asked for, and gateways
    change one form into the other.
    """

    def __init__(self) -> None:
        self._begun: bytes = b""
        self._decoder: SseDecoder | JsonDecoder | None = None

    @property
    def is_markup(self) -> bool:
        """Whether the body begins like HTML or XML, as the log-in page of a network does."""
        return self._begun.startswith(b"<")

    def feed(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Yield the events that ``piece`` completes. Raises `StreamError`."""
        if self._decoder is None:
            self._begun += piece
            body = self._begun.removeprefix(_BOM).lstrip()
            if not body or _BOM.startswith(body):
                return
            self._decoder = JsonDecoder() if body.startswith((b"{", b"[")) else SseDecoder()
            self._begun, piece = body[:1], body
        yield from self._decoder.feed(piece)

    def end(self) -> Iterator[tuple[str, str]]:
        """Yield what the body ended in."""
        if self._decoder is not None:
            yield from self._decoder.end()


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
