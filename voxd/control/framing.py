"""Splits a byte stream into lines of limited length."""

from collections.abc import Callable, Iterator


class LineTooLong(Exception):
    """A line is longer than the limit."""


class Lines:
    """Splits a stream at newlines.

    A line over ``limit_bytes`` is an error unless ``allow_longer(length_so_far)`` is true.
    """

    def __init__(self, limit_bytes: int, allow_longer: Callable[[int], bool] = lambda _: False) -> None:
        self._limit_bytes = limit_bytes
        self._allow_longer = allow_longer
        self._partial = bytearray()

    @property
    def partial_bytes(self) -> int:
        """The number of buffered bytes of an unfinished line."""
        return len(self._partial)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield every line that ``chunk`` completes, without its newline; blank lines are skipped.

        Raises `LineTooLong`; the stream is unusable then, as the start of the next line is unknown.
        """
        # JSON has no raw newline in a string (RFC 8259 section 7), so a newline always ends a message.
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._extend(piece)
            line = bytes(self._partial)
            self._partial.clear()
            if line.strip():
                yield line
        self._extend(rest)

    def _extend(self, piece: bytes) -> None:
        self._partial += piece
        length = len(self._partial)
        if length > self._limit_bytes and not self._allow_longer(length):
            # Freed at once: the connection may take a while to close.
            self._partial.clear()
            raise LineTooLong
