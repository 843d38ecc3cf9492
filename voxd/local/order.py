"""Which engine answers: the rule of falling back, telling it once, and trying the configured one again."""

from dataclasses import dataclass, field

from voxd.preference import order_candidates

RETRY_S = (30.0, 60.0, 120.0, 300.0, 600.0)
"""How long the configured engine is left alone after its first, second, ... failure in a row."""


@dataclass(slots=True)
class EngineOrder:
    """The engines in order of preference, and when each may be tried again."""

    names: tuple[str, ...]
    active: str = ""
    problem: str = ""
    _failures: dict[str, int] = field(default_factory=dict)
    _retry_at_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active = self.active or self.names[0]

    def to_try(self, now_s: float) -> list[str]:
        """Return the engines to ask, in order; those resting after a failure come last."""
        return list(
            order_candidates(
                self.names,
                is_healthy=lambda name: self._retry_at_s.get(name, 0.0) <= now_s,
                can_try=lambda _: True,
                is_last_resort=False,
            )
        )

    def failed(self, name: str, reason: str, now_s: float) -> bool:
        """Note a failure; whether it is news: it failed for the first time or for another reason."""
        count = self._failures.get(name, 0)
        self._failures[name] = count + 1
        self._retry_at_s[name] = now_s + RETRY_S[min(count, len(RETRY_S) - 1)]
        news = count == 0 or (name == self.names[0] and reason != self.problem)
        if name == self.names[0]:
            self.problem = reason
        return news

    def answered(self, name: str) -> tuple[bool, bool]:
        """Note an answer; whether the active engine changed, and whether to the configured one."""
        changed = name != self.active
        self.active = name
        self._failures.pop(name, None)
        self._retry_at_s.pop(name, None)
        if name == self.names[0]:
            self.problem = ""
        return changed, name == self.names[0]
