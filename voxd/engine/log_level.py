"""The ``log_level`` of an engine: it holds for what this engine logs, and for nothing else in the program."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO
from weakref import WeakSet

_PACKAGE = logging.getLogger("voxd")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# The engine that runs in this context. Tasks inherit the context in which they are created, so it holds for
# all that an engine does, in the background as well.
_current: "ContextVar[LogLevel | None]" = ContextVar("voxd engine log level", default=None)


class LogLevel:
    """The level of one engine, "DEBUG" to "CRITICAL"; with None it follows the program's configuration."""

    def __init__(self, name: str | None, *, is_explicit: bool = False) -> None:
        """``is_explicit``: the program asked for it, and so wants to see it without a handler of its own."""
        self.number = None if name is None else logging.getLevelNamesMapping()[name]
        self.is_explicit = is_explicit
        if self.number is not None:
            _FILTER.add(self)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Apply it to what is logged in this block, and in the tasks that are created in it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def is_configured() -> bool:
    """Whether the program has set the level of voxd's loggers itself."""
    return _PACKAGE.level not in (logging.NOTSET, _FILTER.level_set)


def watch_loggers() -> None:
    """Apply the levels of engines to the loggers of modules that were imported meanwhile."""
    if _FILTER.level_set != logging.NOTSET:
        _FILTER.attach()


class _EngineFilter(logging.Filter):
    """Lets the records of an engine pass by its level, and all others by the program's.

    It is a filter of every logger of the package: the level of the package's logger is the lowest that any
    engine needs, and a filter of that logger alone would not see the records of the loggers below it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.level_set = logging.NOTSET
        self._base = logging.NOTSET
        self._levels: WeakSet[LogLevel] = WeakSet()

    def add(self, level: LogLevel) -> None:
        """Let what ``level`` needs be logged."""
        self._levels.add(level)
        if is_configured():
            self._base = _PACKAGE.level
        elif _PACKAGE.level == logging.NOTSET:
            self._base = _PACKAGE.getEffectiveLevel()
        numbers = [each.number for each in self._levels if each.number is not None]
        self.level_set = min([self._base, *numbers])
        _PACKAGE.setLevel(self.level_set)
        if level.is_explicit and not _PACKAGE.hasHandlers():
            _PACKAGE.addHandler(_StderrHandler())
        self.attach()

    def attach(self) -> None:
        """Watch every logger of the package that exists."""
        # A copy: a thread may import a module meanwhile. A placeholder is not a logger.
        for name, logger in tuple(_PACKAGE.manager.loggerDict.items()):
            if name.partition(".")[0] == _PACKAGE.name and isinstance(logger, logging.Logger):
                logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the level of the record's engine, or of the program, allows it."""
        # A program that has set another level since wants that.
        if _PACKAGE.level != self.level_set:
            return True
        engine = _current.get()
        own = engine.number if engine is not None else None
        return record.levelno >= (self._base if own is None else own)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Shows what an engine logs in a program without handlers, and otherwise what Python would show."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` to the standard error stream, unless the program has handlers by now."""
        engine = _current.get()
        is_wanted = record.levelno >= logging.WARNING or (engine is not None and engine.is_explicit)
        if is_wanted and not logging.root.handlers:
            super().emit(record)


# One in a process, as there is one logger of the package.
_FILTER = _EngineFilter()
