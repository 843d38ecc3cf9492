"""The contract of a skill: what it gets, what it returns, and what it may do to the device."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from voxd.clock import Clock
from voxd.skills.recent import Recent
from voxd.skills.timing.timers import Timers

Slots = dict[str, Any]
"""The values of a sentence by name: seconds, `When`, `ClockTime`, numbers or words."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the device: ``intent`` and ``slots`` are known, ``missing`` is what it waits for.

    ``missing`` is the slot that the answer fills (duration, when, new_when, new_duration, text), or which
    (one of the timers with the ids ``options``), half (one of the `ClockTime` in ``options``), or confirm.
    """

    intent: str
    missing: str
    slots: Slots = field(default_factory=dict)
    options: tuple[Any, ...] = ()


class Refusal(StrEnum):
    """Why a sentence was not understood, as clients of the daemon get it."""

    NOT_HEARD = "not_heard"
    NOT_UNDERSTOOD = "not_understood"
    NEEDS_MODEL = "needs_model"


@dataclass(frozen=True, slots=True)
class SkillReply:
    """The answer to a sentence: ``intent`` is "" when it was not understood, and ``refusal`` says why.

    ``text`` is spoken; it is empty when silence is the answer (stop, mute). ``question`` is set when the
    text asks for a missing value. A handler may leave ``intent`` out: the engine sets it.
    """

    text: str
    intent: str = ""
    question: Question | None = None
    refusal: Refusal | None = None

    @property
    def expects_answer(self) -> bool:
        """Whether the microphone should stay open for an answer."""
        return self.question is not None


@dataclass(frozen=True, slots=True)
class Phrases:
    """The sentences of one intent that a skill brings along, as hassil templates.

    ``slots`` lists the values of a slot; a slot without a list takes any words.
    """

    name: str
    sentences: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """What a sentence asks for: the intent and its values (seconds, `When`, numbers, words).

    ``doubts`` names the slots whose words may mean something else.
    """

    intent: str
    slots: Slots = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


Handler = Callable[[Slots], Awaitable[SkillReply]]


class SkillDevice(Protocol):
    """The device, as far as a voice command may reach."""

    def volume(self) -> int:
        """Return the output volume in percent."""
        ...

    async def set_volume(self, percent: int) -> int:
        """Set the output volume, clamped to 0..100; returns it. Raises `StoreError`: then it is as before."""
        ...

    async def mute(self) -> bool:
        """Close the microphone; returns whether it stays closed over a restart."""
        ...

    def is_muted(self) -> bool:
        """Return whether the microphone is closed."""
        ...

    def stop(self) -> None:
        """Silence everything that speaks or rings."""
        ...

    def last_reply(self) -> str:
        """Return the last reply, "" if there was none."""
        ...

    def summary(self) -> str:
        """Return the state of the device as one spoken sentence."""
        ...


@dataclass(slots=True)
class SkillContext:
    """What every skill is built with. ``clock_24h`` follows the configuration."""

    device: SkillDevice
    timers: Timers
    clock: Clock
    tz: tzinfo
    clock_24h: bool
    recent: Recent

    def now(self) -> datetime:
        """Return the local date and time."""
        return datetime.fromtimestamp(self.clock.wall(), self.tz)


class Skill(ABC):
    """A few intents and what they do; named by an entry point of the group ``voxd.skills``."""

    sentences: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Hassil templates by intent. Built-in skills leave it empty: theirs stand in `sentences.toml`."""

    def __init__(self, context: SkillContext) -> None:
        self.context = context

    @abstractmethod
    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
