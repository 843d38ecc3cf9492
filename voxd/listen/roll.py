"""The wake words as they run: what is configured, on which engines, and how often each was heard."""

from collections import Counter

import msgspec

from voxd.config.schema import WakeWord
from voxd.errors import InvalidRequest, ModelError, NotFound
from voxd.listen.wake_words import WakeWordProblem, WordEngines, engines
from voxd.reports import WakeEntry


class ActiveWakeWords:
    """Replaced on the event loop, read by the ears thread: ``words`` is one immutable value."""

    def __init__(self, words: tuple[WakeWord, ...]) -> None:
        self.words = words
        self.problems: tuple[WakeWordProblem, ...] = ()
        """Words that cannot be heard, and why."""
        self._detections: Counter[str] = Counter()
        self._rejections: Counter[str] = Counter()

    def agent_of(self, name: str) -> str:
        """Return who answers ``name``."""
        return next((word.agent for word in self.words if word.name == name), "default")

    def count(self, name: str, *, accepted: bool) -> None:
        """Count a decision on ``name``."""
        (self._detections if accepted else self._rejections)[name] += 1

    def changed(
        self,
        name: str,
        *,
        enabled: bool | None,
        threshold: float | None,
        first_threshold: float | None,
    ) -> tuple[WakeWord, ...]:
        """Return the words with ``name`` changed; None stays. Raises `NotFound`, `InvalidRequest`."""
        if name not in {word.name for word in self.words}:
            raise NotFound(f"there is no wake word {name}", hint="run `voxctl wake`")
        for value in (threshold, first_threshold):
            if value is not None and not 0 <= value <= 1:
                raise InvalidRequest(f"{value} is not a threshold", hint="use a number from 0 to 1")
        given = {"enabled": enabled, "threshold": threshold, "first_threshold": first_threshold}
        changes = {key: value for key, value in given.items() if value is not None}
        return tuple(
            msgspec.structs.replace(word, **changes) if word.name == name else word for word in self.words
        )

    def entries(self) -> list[WakeEntry]:
        """Return the words for `voxctl wake`."""
        unheard = {problem.word for problem in self.problems}
        return [self._entry(word, heard=word.name not in unheard) for word in self.words]

    def _entry(self, word: WakeWord, *, heard: bool) -> WakeEntry:
        try:
            chosen = engines(word)
        except ModelError:
            chosen = WordEngines("", "")
        return WakeEntry(
            name=word.name,
            enabled=word.enabled and heard,
            agent=word.agent,
            first_stage=chosen.first,
            second_stage=chosen.second,
            first_threshold=word.first_threshold,
            threshold=word.threshold,
            detections=self._detections[word.name],
            rejections=self._rejections[word.name],
        )
