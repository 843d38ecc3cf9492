"""From the words of a sentence to what is done, asked or refused: exact first, then nearly.

A sentence that a template matches word for word acts. One that matches after a known confusion of words was
put right acts too, unless it deletes, mutes or runs a command of the owner, or a number was changed: then the
device asks. All else is refused: likeness of letters is not meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from voxd.skills.contract import Match
from voxd.skills.understanding.language import Language
from voxd.skills.understanding.misheard import variants
from voxd.skills.understanding.slots import find_spans
from voxd.skills.understanding.speech import Speech, find_phrases, strip_edges

if TYPE_CHECKING:
    from voxd.skills.understanding.grammar import Grammar  # loads hassil, 11 MB

_MAX_CLAUSES = 4
_SPLICE_LEAD = (0, 1)
_MAX_INHERITED = 3
_MAX_TWICE_WORDS = 10


class Verdict(Enum):
    """What to do with a sentence."""

    ACT = "act"
    CONFIRM = "ask back"
    KNOWLEDGE = "needs a model"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to understand the sentence, for `voxctl skills explain`; ``why`` says what became of it."""

    text: str
    match: Match
    why: str


@dataclass(frozen=True, slots=True)
class Understanding:
    """The verdict on a sentence; ``matches`` are to be performed one after the other.

    ``text`` is the sentence as it was understood, ``unknown`` are the words that no template holds, and
    ``is_exact`` whether every word matched as it was said.
    """

    verdict: Verdict
    matches: tuple[Match, ...] = ()
    text: str = ""
    unknown: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    is_exact: bool = False


@dataclass(slots=True)
class _Trace:
    candidates: list[Candidate] = field(default_factory=list)

    def note(self, said: tuple[str, ...], match: Match, why: str) -> None:
        self.candidates.append(Candidate(" ".join(said), match, why))


class Understander:
    """Understands sentences of one language."""

    def __init__(self, grammar: "Grammar", language: Language, speech: Speech, *, near_miss: float) -> None:
        """``near_miss``: how alike (0 to 1) a misheard noun must be; 1 accepts no correction at all."""
        self.near_miss = near_miss
        self._grammar = grammar
        self._language = language
        self._speech = speech
        self._vocabulary = grammar.vocabulary()

    def understand(self, said: tuple[str, ...]) -> Understanding:
        """Return what to do with the words ``said``."""
        trace = _Trace()
        said = self._normalize(said)
        exact = self._exact(said)
        if exact is not None and (not exact.doubts or self._is_harmless(exact)):
            trace.note(said, exact, "every word matches")
            return self._act((exact,), said, trace)
        corrected = self._correct(said)
        if corrected is not None:
            trace.note(corrected[0], corrected[1], "the sentence corrects itself")
            return self._act((corrected[1],), corrected[0], trace)
        clauses = self._clauses(said, _MAX_CLAUSES) or self._said_twice(said)
        if clauses is not None:
            for clause in clauses:
                trace.note(said, clause, "one of several requests")
            return self._act(clauses, said, trace)
        if exact is not None:
            trace.note(said, exact, f"{', '.join(exact.doubts)} may mean something else")
            return Understanding(Verdict.CONFIRM, (exact,), " ".join(said), (), tuple(trace.candidates))
        return self._near(said, trace) or self._refuse(said, trace)

    def match_answer(self, said: tuple[str, ...], kinds: tuple[str, ...]) -> Match | None:
        """Return what ``said`` means as an answer of one of ``kinds``, the first that fits."""
        said = self._normalize(said)
        for kind in kinds:
            for way in strip_edges(said, self._speech):
                match = self._grammar.match_answer(way, kind)
                if match is not None:
                    return match
        return None

    def _act(self, matches: tuple[Match, ...], said: tuple[str, ...], trace: _Trace) -> Understanding:
        return Understanding(Verdict.ACT, matches, " ".join(said), (), tuple(trace.candidates), True)

    def _without_hesitation(self, said: tuple[str, ...]) -> tuple[str, ...]:
        kept = list(said)
        # The "like" of "I would like" is none.
        polite = find_phrases(said, (*self._speech.polite_start, *self._speech.polite_end))
        for start, end in reversed(find_phrases(said, self._speech.hesitation)):
            if not any(
                first <= start and end <= last and (first, last) != (start, end) for first, last in polite
            ):
                del kept[start:end]
        return tuple(kept) or said

    def _is_harmless(self, match: Match) -> bool:
        return self._grammar.effect(match.intent) in ("tells", "refuses")

    def _normalize(self, said: tuple[str, ...]) -> tuple[str, ...]:
        """Return ``said`` without hesitation, and with "five more minutes" as "five minutes more"."""
        words = list(self._without_hesitation(said))
        for phrase, rewritten in self._speech.rewrites.items():
            for start, end in reversed(find_phrases(tuple(words), (phrase,))):
                words[start:end] = rewritten.split()
        for at in range(1, len(words) - 1):
            is_number = words[at - 1] in self._language.number_words
            if is_number and words[at] in self._speech.more_words and words[at + 1] in self._language.units:
                words[at], words[at + 1] = words[at + 1], words[at]
        return tuple(words)

    def _exact(self, said: tuple[str, ...]) -> Match | None:
        doubtful: Match | None = None
        for way in strip_edges(said, self._speech):
            match = self._grammar.match(way)
            if match is not None and not match.doubts:
                return match
            doubtful = doubtful or match
        return doubtful

    def _certain(self, said: tuple[str, ...]) -> Match | None:
        match = self._exact(said) if said else None
        return match if match is not None and not match.doubts else None

    # --- "for five minutes, no sorry, ten minutes"

    def _correct(self, said: tuple[str, ...]) -> tuple[tuple[str, ...], Match] | None:
        """Return the sentence that ``said`` turns into by its last correction, and what it asks for."""
        if any(end == len(said) and start for start, end in find_phrases(said, self._speech.retractions)):
            # What is taken back in the same breath is not done at all.
            return said, Match("never_mind")
        for start, end in reversed(find_phrases(said, self._speech.corrections)):
            head, tail = self._without_markers(said[:start]), said[end:]
            if not head:
                continue
            first = self._exact(head)
            if not tail:
                return (said, Match("never_mind")) if first is not None else None
            if first is None and not find_spans(head, self._language, self._speech):
                continue
            whole = self._certain(tail)
            if whole is not None and whole.intent not in self._grammar.incomplete:
                return tail, whole
            spliced = self._splice(head, tail, first)
            if spliced is not None:
                return spliced
        return None

    def correct(
        self, earlier: tuple[str, ...], said: tuple[str, ...]
    ) -> tuple[tuple[str, ...], Match] | None:
        """Return ``earlier`` as ``said`` corrects it ("no, ten minutes"), and what it asks for."""
        said = self._normalize(said)
        earlier = self._normalize(earlier)
        if (spliced := self._exchange(earlier, said)) is not None:
            return spliced
        starts = [end for start, end in find_phrases(said, self._speech.corrections) if start == 0]
        if not starts or starts[0] == len(said):
            return None
        rest = said[starts[0] :]
        while more := [end for start, end in find_phrases(rest, self._speech.corrections) if start == 0]:
            rest = rest[more[0] :]
        whole = self._certain(rest)
        if whole is not None and self._acts(whole):
            return rest, whole
        return self._splice(earlier, rest, self._exact(earlier)) if rest else None

    def _acts(self, match: Match) -> bool:
        is_complete = match.intent not in self._grammar.incomplete
        return is_complete and self._grammar.effect(match.intent) == "sets"

    def _exchange(
        self, earlier: tuple[str, ...], said: tuple[str, ...]
    ) -> tuple[tuple[str, ...], Match] | None:
        """Return ``earlier`` with the words exchanged that ``said`` names: "thirty, not thirteen"."""
        for start, end in find_phrases(said, self._speech.instead_of):
            new, old = said[:start], said[end:]
            for at in range(len(earlier) - len(old) + 1):
                if not new or not old or earlier[at : at + len(old)] != old:
                    continue
                exchanged = (*earlier[:at], *new, *earlier[at + len(old) :])
                match = self._certain(exchanged)
                if match is not None and self._grammar.effect(match.intent) == "sets":
                    return exchanged, match
        return None

    def _without_markers(self, head: tuple[str, ...]) -> tuple[str, ...]:
        while ends := [
            start for start, end in find_phrases(head, self._speech.corrections) if end == len(head)
        ]:
            head = head[: min(ends)]
        return head

    def _splice(
        self, head: tuple[str, ...], tail: tuple[str, ...], first: Match | None
    ) -> tuple[tuple[str, ...], Match] | None:
        """Return ``head`` with one of its values replaced by ``tail``, and what that asks for."""
        for spliced in self._splices(head, tail, first):
            match = self._certain(spliced)
            if match is None or self._grammar.effect(match.intent) != "sets":
                continue
            if first is None or match.intent == first.intent or first.intent in self._grammar.incomplete:
                return spliced, match
        return None

    def _splices(
        self, head: tuple[str, ...], tail: tuple[str, ...], first: Match | None
    ) -> Iterator[tuple[str, ...]]:
        """Yield ``head`` with one of its values, the last first, replaced by ``tail``."""
        for span in reversed(find_spans(head, self._language, self._speech)):
            # "At seven, no, eight" keeps the preposition, "ten minutes, no, twelve" the unit.
            units = head[span.end - 1 : span.end] if span.slot == "duration" else ()
            for after in (units, ()):
                for lead in _SPLICE_LEAD:
                    yield (*head[: span.start + lead], *tail, *after, *head[span.end :])
        name = tuple(str(first.slots.get("name", "")).split()) if first is not None else ()
        for at in range(len(head) - len(name) + 1):
            if name and head[at : at + len(name)] == name:
                yield (*head[:at], *tail, *head[at + len(name) :])

    # --- "set a timer for five minutes and turn the volume down"

    def _clauses(self, said: tuple[str, ...], most: int) -> tuple[Match, ...] | None:
        """Return what the clauses of ``said`` ask for, None unless every one is certain."""
        spans = find_spans(said, self._language, self._speech)
        for start, end in find_phrases(said, self._speech.joints):
            # "Two and a half minutes" is one value, not two requests.
            if any(span.start < start and end < span.end for span in spans):
                continue
            head, tail = said[:start], said[end:]
            first = self._certain(head)
            if first is None or not tail:
                continue
            rest = self._certain(tail) or self._inherited(head, tail, first)
            if rest is not None:
                return first, rest
            more = self._clauses(tail, most - 1) if most > 2 else None
            if more is not None:
                return (first, *more)
        return None

    def _said_twice(self, said: tuple[str, ...]) -> tuple[Match, ...] | None:
        """Return what both halves of ``said`` ask for: "I can't hear you, speak up"."""
        if len(said) > _MAX_TWICE_WORDS:
            return None
        for at in range(1, len(said)):
            first = self._certain(said[:at])
            if first is not None and self._certain(said[at:]) == first:
                return (first,)
        return None

    def _inherited(self, head: tuple[str, ...], tail: tuple[str, ...], first: Match) -> Match | None:
        """Return ``tail`` with the verb of ``head``: "cancel the pizza timer and the egg timer"."""
        for count in range(1, min(_MAX_INHERITED, len(head)) + 1):
            match = self._certain((*head[:count], *tail))
            if match is None:
                continue
            tells = self._grammar.effect(match.intent) == self._grammar.effect(first.intent) == "tells"
            if match.intent == first.intent or tells:
                return match
        return None

    # --- what was misheard, and what is not known

    def _near(self, said: tuple[str, ...], trace: _Trace) -> Understanding | None:
        if self.near_miss >= 1:
            return None
        for variant in variants(said, self._speech, self._language, self._vocabulary, self.near_miss):
            match = self._certain(variant.said)
            if match is None:
                continue
            changes = ", ".join(f"{old!r} as {new!r}" if new else old for old, new in variant.changes)
            text = " ".join(variant.said)
            # What a command of the owner runs cannot be undone.
            if variant.is_number_changed or self._grammar.effect(match.intent) in ("destroys", "runs"):
                trace.note(variant.said, match, f"near ({changes}), so it is asked back")
                return Understanding(Verdict.CONFIRM, (match,), text, (), tuple(trace.candidates))
            trace.note(variant.said, match, f"near ({changes}), and it can be undone")
            return Understanding(Verdict.ACT, (match,), text, (), tuple(trace.candidates))
        return None

    def _refuse(self, said: tuple[str, ...], trace: _Trace) -> Understanding:
        known = self._vocabulary | self._language.temporal_words | self._language.number_words
        unknown = tuple(dict.fromkeys(word for word in said if word not in known))
        bare = strip_edges(said, self._speech)[-1]
        starts = {tuple(phrase.split()) for phrase in self._speech.questions}
        is_question = any(way[: len(start)] == start for start in starts for way in (said, bare))
        verdict = Verdict.KNOWLEDGE if is_question else Verdict.REFUSE
        return Understanding(verdict, (), " ".join(said), unknown, tuple(trace.candidates))
