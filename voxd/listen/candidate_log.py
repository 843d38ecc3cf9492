"""The recent wake candidates, accepted or rejected, with their sound, for `voxctl wake why`."""

import itertools
import threading
from collections import deque
from dataclasses import dataclass

from voxd.errors import NotFound
from voxd.frames import SAMPLE_RATE_HZ, Clip, samples_from_s
from voxd.listen.gate import WakeDecision
from voxd.reports import WakeCandidate

# A slowly spoken wake word and the sound both stages needed to decide.
CLIP_SAMPLES = samples_from_s(2.5)

MAX_COUNT = 200
# 100 clips: a tenth of the memory the whole daemon may use.
MAX_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    candidate: WakeCandidate
    pcm: bytes
    added_s: float


class CandidateLog:
    """The newest candidates, bounded by age, count and bytes; the oldest goes first and is counted."""

    def __init__(self, keep_s: float) -> None:
        self.keep_s = keep_s
        self.dropped = 0
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._ids = itertools.count(1)
        # The listening thread adds, the event loop reads. Nothing is written to disk: clips are audio of a
        # room.
        self._lock = threading.Lock()

    def add(self, decision: WakeDecision, pcm: bytes, *, monotonic_s: float, wall_s: float) -> None:
        """Add the candidate of ``decision`` with its sound."""
        candidate = WakeCandidate(
            id=next(self._ids),
            time=wall_s,
            word=decision.candidate.word,
            first_score=decision.candidate.first_score,
            score=decision.candidate.score,
            accepted=decision.accepted,
            reason=decision.reason,
            clip_s=Clip(pcm, SAMPLE_RATE_HZ).duration_s,
        )
        with self._lock:
            self._entries.append(_Entry(candidate, pcm, monotonic_s))
            self._bytes += len(pcm)
            self._expire(monotonic_s)
            while len(self._entries) > MAX_COUNT or self._bytes > MAX_BYTES:
                self._drop()
                # Only those that were pushed out count: expiry by age is what the user configured.
                self.dropped += 1

    def newest(self, limit: int, monotonic_s: float) -> list[WakeCandidate]:
        """Return at most ``limit`` candidates, newest first."""
        with self._lock:
            self._expire(monotonic_s)
            return [entry.candidate for entry in itertools.islice(reversed(self._entries), limit)]

    def clip(self, id: int) -> Clip:
        """Return the sound of one candidate. Raises `NotFound`."""
        with self._lock:
            for entry in self._entries:
                if entry.candidate.id == id:
                    return Clip(entry.pcm, SAMPLE_RATE_HZ)
        raise NotFound(f"unknown wake candidate {id}", hint="run `voxctl wake why`")

    def _expire(self, now_s: float) -> None:
        while self._entries and now_s - self._entries[0].added_s > self.keep_s:
            self._drop()

    def _drop(self) -> None:
        self._bytes -= len(self._entries.popleft().pcm)
