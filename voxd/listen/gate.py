"""The wake gate: from the scores of two stages to decisions, counted in samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from voxd.frames import samples_from_s
from voxd.listen.wake_engine import Score

# How long the second stage may take to agree: its scores peak up to 0.15 s after the end of a word (90th
# percentile over 315 recordings of "alexa" with noise), the first stage may open half a word early.
CONFIRM_SAMPLES = samples_from_s(0.8)

# After one word was accepted, the same sound must not trigger another.
OTHERS_IGNORED_SAMPLES = samples_from_s(0.5)


@dataclass(frozen=True, slots=True)
class WakeRule:
    """What one word needs: thresholds from 0 to 1, and how long it is ignored after it was accepted."""

    first_threshold: float
    threshold: float
    refractory_samples: int
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """A possible wake word, since sample ``opened``; the best scores of both stages until now."""

    word: str
    opened: int
    first_score: float
    score: float = 0.0
    reached: int | None = None
    """The first sample at which the second stage was at its threshold."""


@dataclass(frozen=True, slots=True)
class WakeDecision:
    """The end of a candidate at ``sample``: ``reason`` is "" when it was accepted."""

    candidate: ScoredCandidate
    sample: int
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the word was confirmed."""
        return not self.reason


@dataclass(slots=True)
class _Word:
    rule: WakeRule
    candidate: ScoredCandidate | None = None
    armed: bool = True
    ignored_until: int = 0


@dataclass(slots=True)
class WakeGate:
    """At most one candidate per word; the first to reach its threshold wins, the best if several do.

    A word whose candidate has ended is armed again when its first score falls below its first threshold,
    so that one sound is one candidate.
    """

    _words: dict[str, _Word] = field(default_factory=dict)

    def configure(self, rules: Mapping[str, WakeRule]) -> None:
        """Put ``rules`` in force; words keep their candidates and refractory times."""
        known = self._words
        self._words = {}
        for name, rule in rules.items():
            # A reload during a candidate must not lose it.
            word = known.get(name) or _Word(rule)
            word.rule = rule
            if not rule.enabled:
                word.candidate = None
            self._words[name] = word

    def rules(self) -> dict[str, WakeRule]:
        """Return the rules in force."""
        return {name: word.rule for name, word in self._words.items()}

    def reset(self) -> None:
        """Forget every candidate and refractory time."""
        self._words = {name: _Word(word.rule) for name, word in self._words.items()}

    @property
    def open_words(self) -> frozenset[str]:
        """The words that wait for the second stage."""
        return frozenset(name for name, word in self._words.items() if word.candidate)

    def open_candidates(self, scores: Iterable[Score]) -> list[ScoredCandidate]:
        """Take scores of the first stage; return the candidates they opened."""
        opened = []
        for score in scores:
            word = self._words.get(score.word)
            if word is None or not word.rule.enabled:
                continue
            if score.score < word.rule.first_threshold:
                # The sound of the last candidate is over.
                word.armed = True
            elif word.candidate:
                best = max(word.candidate.first_score, score.score)
                word.candidate = replace(word.candidate, first_score=best)
            elif word.armed and score.sample >= word.ignored_until:
                word.candidate = ScoredCandidate(score.word, score.sample, score.score)
                opened.append(word.candidate)
        return opened

    def decide(self, scores: Iterable[Score], now: int) -> list[WakeDecision]:
        """Take scores of the second stage up to sample ``now``; return the candidates that ended."""
        for score in scores:
            word = self._words.get(score.word)
            if word and (candidate := word.candidate):
                is_first = candidate.reached is None and score.score >= word.rule.threshold
                reached = score.sample if is_first else candidate.reached
                best = max(candidate.score, score.score)
                word.candidate = replace(candidate, score=best, reached=reached)
        decisions = []
        open_words = [word for word in self._words.values() if word.candidate]
        confirmed = [word for word in open_words if _score(word) >= word.rule.threshold]
        # Two words may match the same sound, as "hey jarvis" and "hey mycroft" do: the better one wins.
        winner = max(confirmed, key=_score, default=None)
        for word in open_words:
            if word is winner:
                decisions.append(self._end(word, now))
            elif winner:
                decisions.append(self._end(word, now, "another word scored higher"))
            # Counted from the opening, so that a low score that lasts cannot keep the second stage running.
            elif word.candidate and now - word.candidate.opened >= CONFIRM_SAMPLES:
                decisions.append(self._end(word, now, "second stage below threshold"))
        if winner:
            for word in self._words.values():
                word.ignored_until = max(word.ignored_until, now + OTHERS_IGNORED_SAMPLES)
            winner.ignored_until = now + winner.rule.refractory_samples
        return decisions

    def _end(self, word: _Word, now: int, reason: str = "") -> WakeDecision:
        assert word.candidate is not None
        decision = WakeDecision(word.candidate, now, reason)
        word.candidate = None
        word.armed = False
        return decision


def _score(word: _Word) -> float:
    return word.candidate.score if word.candidate else 0.0
