"""The exact part of understanding: hassil templates over spoken words with the values read out."""

from collections.abc import Iterable
from typing import Any

from hassil import Intents, RecognizeResult, recognize_all

from voxd.config.commands import Command
from voxd.skills.contract import Match, Phrases
from voxd.skills.understanding import templates
from voxd.skills.understanding.language import Language
from voxd.skills.understanding.slot_rules import Fit, fit_wildcard
from voxd.skills.understanding.slots import MarkedSentence, readings
from voxd.skills.understanding.speech import Speech
from voxd.skills.understanding.temporal import When, read_when


class Grammar:
    """The sentences of a language, of the owner and of third-party skills."""

    def __init__(self, commands: Iterable[Command | Phrases], language: Language, speech: Speech) -> None:
        """Raises `ConfigError` when a sentence of ``commands`` cannot be read."""
        self._language = language
        self._speech = speech
        known = templates.load_templates()
        self._builtin, self._answers = templates.compile_builtin()
        own = {templates.intent_of(command): templates.command_data(command) for command in commands}
        self._own = templates.compile_intents(known, own)
        self._own_texts = [
            text
            for data in own.values()
            for text in (
                *data["sentences"],
                *(v["in"] for e in data["lists"].values() for v in e.get("values", ())),
            )
        ]
        self._effects = templates.read_effects()
        self.incomplete = frozenset(name for name, data in known.intents.items() if data.get("incomplete"))
        """The intents that ask for what is missing."""

    def effect(self, intent: str) -> str:
        """Return what ``intent`` does: sets, tells, destroys, refuses; runs if it is not a built-in one."""
        return self._effects.get(intent, "runs")

    def match(self, said: Iterable[str]) -> Match | None:
        """Return what the sentence ``said`` asks for word by word, None when no template matches."""
        marked = list(readings(tuple(said), self._language, self._speech))
        # A doubtful reading of the first values is left for a certain one of the next.
        return self._first(marked, (self._own, self._builtin))

    def match_answer(self, said: Iterable[str], kind: str) -> Match | None:
        """Return what ``said`` means as an answer of ``kind`` (a name under [answers])."""
        return self._first(list(readings(tuple(said), self._language, self._speech)), (self._answers[kind],))

    def _first(self, marked: list[MarkedSentence], grammars: tuple[Intents, ...]) -> Match | None:
        doubtful: Match | None = None
        for intents in grammars:
            for sentence in marked:
                match = self._best(sentence, intents, is_own=intents is self._own)
                if match is not None and not match.doubts:
                    return match
                doubtful = doubtful or match
        return doubtful

    def _best(self, marked: MarkedSentence, intents: Intents, *, is_own: bool) -> Match | None:
        """Return the match that leaves the fewest words to wildcards: they take what no template knows."""
        if not intents.intents:
            return None
        found = [
            (self._fit(result, marked, is_own), result) for result in recognize_all(marked.text, intents)
        ]
        fitting = [(fit, result) for fit, result in found if fit is not Fit.NONE]
        if not fitting:
            return None
        fit, best = min(
            fitting, key=lambda pair: (-pair[0], _free_length(pair[1]), -pair[1].text_chunks_matched)
        )
        slots: dict[str, Any] = {}
        doubts = []
        for entity in best.entities_list:
            value = str(entity.value).strip()
            if not entity.is_wildcard:
                slots[entity.name] = marked.spans[value].value if value in marked.spans else _convert(value)
                continue
            slots[entity.name] = marked.restore(value)
            if fit is Fit.DOUBTFUL:
                doubts.append(entity.name)
        self._join_times(slots, best, marked)
        return Match(best.intent.name, slots, tuple(doubts))

    def _join_times(self, slots: dict[str, Any], result: RecognizeResult, marked: MarkedSentence) -> None:
        """Read what two parts of the sentence say of one time together: "a weekly alarm for sunday"."""
        if not isinstance(slots.get("when"), When) or "when_more" not in slots:
            return
        spans = [marked.spans[str(result.entities[name].value).strip()] for name in ("when", "when_more")]
        said = [word for span in spans for word in marked.said[span.start : span.end]]
        read = read_when(said, 0, self._language)
        if read is not None and read[1] == len(said):
            slots["when"] = read[0]
            del slots["when_more"]

    def _fit(self, result: RecognizeResult, marked: MarkedSentence, is_own: bool) -> Fit:
        if is_own:
            return Fit.GOOD
        fits = [
            fit_wildcard(entity.name, str(entity.value).split(), marked.spans, self._language, self._speech)
            for entity in result.entities_list
            if entity.is_wildcard
        ]
        return min(fits, default=Fit.GOOD)

    def vocabulary(self) -> frozenset[str]:
        """Return every word that a template of the language or of the owner holds."""
        return templates.collect_words((*templates.builtin_texts(), *self._own_texts))


def _free_length(result: RecognizeResult) -> int:
    return sum(len(entity.text.strip()) for entity in result.entities_list if entity.is_wildcard)


def _convert(value: str) -> str | int:
    """Return the value of a list, a number as a number: the position of "the last one" is -1."""
    return int(value) if value.lstrip("-").isdecimal() else value
