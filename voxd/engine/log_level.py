"""The ``log_level`` of an engine: it holds for what this engine logs, and for nothing else in the program."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

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
        self._found = _FILTER.programs_level

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let what the engine needs be logged in this block, also by tasks that it has created before."""
        # A level that the program has set since this one was made is what it wants.
        if self.number is not None and self._found != _FILTER.programs_level:
            self.number = None
        _FILTER.add(self)
        try:
            yield
        finally:
            _FILTER.remove(self)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Apply it to what is logged in this block, and in the tasks that are created in it."""
        token = _current.set(self)
        try:
            with self.in_use():
                yield
        finally:
            _current.reset(token)


def is_configured() -> bool:
    """Whether the program has set the level of voxd's loggers itself."""
    return _FILTER.programs_level != logging.NOTSET


def watch_loggers() -> None:
    """Apply the levels of engines to the loggers of modules that were imported meanwhile."""
    if _FILTER.level_set != logging.NOTSET:
        _FILTER.attach()


class _EngineFilter(logging.Filter):
    """Lets the records of an engine pass by its level, and all others by the program's.

    It is a filter of every logger of the package: the level of the package's logger is the lowest that any
    engine in use needs, and a filter of that logger alone would not see the records of the loggers below it.
    """

    def __init__(self) -> None:
        super().__init__()
        # What this filter has given the package's logger; NOTSET while no engine is in use.
        self.level_set = logging.NOTSET
        self._program_set = logging.NOTSET
        self._levels: Counter[LogLevel] = Counter()
        self._handler: _StderrHandler | None = None

    @property
    def programs_level(self) -> int:
        """The level that the program has given the package's logger."""
        is_ours = self.level_set != logging.NOTSET and _PACKAGE.level == self.level_set
        return self._program_set if is_ours else _PACKAGE.level

    def add(self, level: LogLevel) -> None:
        """Let what ``level`` needs be logged, until `remove`."""
        self._levels[level] += 1
        # Once, as this is called for every piece of audio that is sent.
        if self._levels[level] == 1 and level.number is not None:
            self._apply()
            if level.is_explicit and not _PACKAGE.hasHandlers():
                self._handler = _StderrHandler()
                _PACKAGE.addHandler(self._handler)

    def remove(self, level: LogLevel) -> None:
        """Undo one `add`."""
        self._levels[level] -= 1
        if not self._levels[level]:
            del self._levels[level]
            self._apply()
            if not self._levels and self._handler is not None:
                _PACKAGE.removeHandler(self._handler)
                self._handler = None

    def _apply(self) -> None:
        program_set = self.programs_level
        numbers = [each.number for each in self._levels if each.number is not None]
        if numbers:
            self._program_set = program_set
            # What the loggers of the package would follow without a level of its own.
            base = program_set or (_PACKAGE.parent or _PACKAGE).getEffectiveLevel()
            self.level_set = min([base, *numbers])
            _PACKAGE.setLevel(self.level_set)
            self.attach()
        elif self.level_set != logging.NOTSET:
            self.level_set = logging.NOTSET
            _PACKAGE.setLevel(program_set)

    def attach(self) -> None:
        """Watch every logger of the package that exists."""
        # A copy: a thread may import a module meanwhile. A placeholder is not a logger.
        for name, logger in tuple(_PACKAGE.manager.loggerDict.items()):
            if name.partition(".")[0] == _PACKAGE.name and isinstance(logger, logging.Logger):
                logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the level of the record's engine, or of the program, allows it."""
        # A program that has set another level since wants that.
        if self.level_set == logging.NOTSET or _PACKAGE.level != self.level_set:
            return True
        engine = _current.get()
        if engine is not None and engine.number is not None:
            return record.levelno >= engine.number
        return record.levelno >= self._base(record.name)

    def _base(self, name: str) -> int:
        """Return the level of the logger ``name`` by the program's configuration alone."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            level = self._program_set if logger is _PACKAGE else logger.level
            if level != logging.NOTSET:
                return level
            logger = logger.parent
        return logging.NOTSET


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
