"""Reports of the running device: the values that every user interface shows."""

import math

import msgspec


class AudioStatus(msgspec.Struct, frozen=True):
    """The microphone and the loudspeaker."""

    input: str
    output: str
    ok: bool
    problem: str
    overruns: int
    level_dbfs: float | None


class EngineStatus(msgspec.Struct, frozen=True):
    """Which local engine answers, and why it is not the configured one."""

    kind: str
    configured: str
    active: str
    loaded: bool
    problem: str


class AgentStatus(msgspec.Struct, frozen=True):
    """The provider configured for an agent, the one in use, and why they differ."""

    agent: str
    provider: str
    answering: str
    problem: str


class DeviceStatus(msgspec.Struct, frozen=True):
    """The state of the device in one value; ``summary`` is the sentence systemd shows."""

    version: str
    state: str
    summary: str
    uptime_s: float
    muted: bool
    volume_percent: int
    agent: str
    wake_words: tuple[str, ...]
    audio: AudioStatus
    engines: tuple[EngineStatus, ...]
    leds: str
    button: str
    timers: int
    turns: int
    problems: tuple[str, ...]
    agents: tuple[AgentStatus, ...] = ()
    queued: int = 0
    ringing: tuple[str, ...] = ()
    """What rings now: its kind and number, such as "timer 3"."""


class QuestionResult(msgspec.Struct, frozen=True):
    """The result of a question: what was understood, what is answered, how long each stage took (ms).

    ``refusal`` is why the device itself could not answer: not_heard, not_understood, needs_model, else "".
    """

    turn: str
    transcript: str
    reply: str
    outcome: str
    stages_ms: dict[str, float]
    refusal: str = ""


class MuteState(msgspec.Struct, frozen=True):
    """Whether the microphone is closed; ``problem`` is why a restart will open it again, else ""."""

    muted: bool
    problem: str = ""


class Said(msgspec.Struct, frozen=True):
    """A text that is spoken: its turn, and how that ended; ``outcome`` "" means that it is still spoken."""

    turn: str
    outcome: str


class LedgerStage(msgspec.Struct, frozen=True):
    """One bar of the latency ledger, in milliseconds since the turn began."""

    name: str
    start_ms: float
    end_ms: float


class LastTurn(msgspec.Struct, frozen=True):
    """The ledger of one turn."""

    turn: str
    source: str
    outcome: str
    started_at: float
    stages: tuple[LedgerStage, ...]


class HistoryEntry(msgspec.Struct, frozen=True):
    """One remembered turn."""

    id: int
    turn: str
    time: float
    source: str
    agent: str
    transcript: str
    reply: str
    outcome: str
    stages_ms: dict[str, float]


class Repeat(msgspec.Struct, frozen=True):
    """When a timer, alarm or reminder comes again; exactly one of weekdays, month_day, interval_s is set.

    ``weekdays``: Monday 0, sorted; ``every_weeks`` 2 is every other week, counted from the first occurrence.
    ``month_day``: 1 to 31, in a shorter month its last day. ``interval_s``: seconds, at least 1.
    Raises `ValueError` for anything else.
    """

    weekdays: tuple[int, ...] = ()
    every_weeks: int = 1
    month_day: int = 0
    interval_s: float = 0.0

    def __post_init__(self) -> None:
        if sum(map(bool, (self.weekdays, self.month_day, self.interval_s))) != 1:
            raise ValueError("exactly one of weekdays, month_day and interval_s must be set")
        if self.interval_s and not 1.0 <= self.interval_s < math.inf:
            raise ValueError("interval_s must be at least 1")
        if self.every_weeks < 1 or not 0 <= self.month_day <= 31:
            raise ValueError("every_weeks must be at least 1, month_day 1 to 31")
        if self.weekdays != tuple(sorted({*self.weekdays} & {*range(7)})):
            raise ValueError("weekdays must be sorted numbers from 0 to 6")


class TimerEntry(msgspec.Struct, frozen=True):
    """One timer, alarm or reminder: ``due_in_s`` seconds from now, negative while it rings.

    While it is paused that is what is left. ``duration_s`` is how long a countdown was set for, 0 for a time
    of day.
    """

    id: int
    kind: str
    name: str
    due_at: float
    due_in_s: float
    ringing: bool
    repeat: Repeat | None = None
    paused: bool = False
    duration_s: float = 0.0


class WakeEntry(msgspec.Struct, frozen=True):
    """One wake word as it runs."""

    name: str
    enabled: bool
    agent: str
    first_stage: str
    second_stage: str
    first_threshold: float
    threshold: float
    detections: int
    rejections: int


class WakeCandidate(msgspec.Struct, frozen=True):
    """A moment at which a wake word was suspected: scores of both stages, and the verdict."""

    id: int
    time: float
    word: str
    first_score: float
    score: float
    accepted: bool
    reason: str
    clip_s: float


class Device(msgspec.Struct, frozen=True):
    """A sound device under its stable name."""

    name: str
    direction: str
    channels: int
    default_rate_hz: float
    is_default: bool


class ProviderEntry(msgspec.Struct, frozen=True):
    """A configured provider or pipeline, the agents that use it, and why it does not answer.

    ``stages`` is what it does: realtime, stt, llm, tts; of a pipeline the names it is made of.
    """

    name: str
    kind: str
    model: str
    agents: tuple[str, ...]
    problem: str
    stages: tuple[str, ...] = ()


class UsageEntry(msgspec.Struct, frozen=True):
    """What a provider used on a local day (``2026-11-20``), in one stage and with one key.

    ``responses`` are replies, of a member of a pipeline requests. ``stage`` is realtime, stt, llm or tts;
    ``key`` its number, from 1, or 0 where none is needed.
    ``cost_usd`` is an estimate from the price list of ``prices_of``; None, or too low, when that is "",
    because some of the use has no price. ``upper_usd`` is the part of it that was counted with more than it
    can cost, since a daily limit is set and no price is known.
    """

    day: str
    provider: str
    sessions: int
    responses: int
    audio_s: float
    text_tokens: int
    audio_tokens: int
    cost_usd: float | None
    prices_of: str
    stage: str = "realtime"
    key: int = 0
    characters: int = 0
    upper_usd: float = 0.0


class QueueEntry(msgspec.Struct, frozen=True):
    """A queued utterance, without its words.

    ``state`` is waiting, answered or delivered; ``duration_ms`` is 0 for a typed question; ``problem`` is the
    code of the last failure.
    """

    id: str
    agent: str
    state: str
    time: float
    duration_ms: int
    bytes: int
    attempts: int
    problem: str
    age_s: float


class Reloaded(msgspec.Struct, frozen=True):
    """What a reload applied and what still needs a restart (dotted keys)."""

    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]
