"""Lines out of a byte stream, with a limit on what a peer may make us remember."""

from collections.abc import Callable, Iterator


class LineTooLong(Exception):
    """A line passed the limit."""


class Lines:
    """Cuts a stream at newlines.

    A line over ``limit_bytes`` is refused unless ``allow_longer``, asked with its length so far, says yes.
    """

    def __init__(self, limit_bytes: int, allow_longer: Callable[[int], bool] = lambda _: False) -> None:
        self._limit_bytes = limit_bytes
        self._allow_longer = allow_longer
        self._partial = bytearray()

    @property
    def partial_bytes(self) -> int:
        """How much of an unfinished line is held."""
        return len(self._partial)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield every line that ``chunk`` completes, without its newline; blank lines are skipped.

        Raises `LineTooLong`, after which the stream cannot be used: where the next line begins is unknown.
        """
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
            self._partial.clear()
            raise LineTooLong
