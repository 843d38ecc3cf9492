"""Makes of a sentence what a recogniser may hear in its place: the same for the same seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources

import msgspec
import tomli

from voxd.skills.evaluation.effects import Effect
from voxd.skills.understanding.numbers import number_words

_MAX_FIGURE = 999_999
_MARKS = ',!?;:"()'


@dataclass(frozen=True, slots=True)
class Mishearing:
    """Sentences of which that at ``index`` was misheard: ``lost`` words are gone, ``heard`` ones came.

    ``kind`` is dropped, doubled, filler, or a table of `confusions.toml`. ``changes_value``: one of the
    words belongs to a number, a time or a date.
    """

    kind: str
    index: int
    sentences: tuple[str, ...]
    lost: frozenset[str]
    heard: frozenset[str]
    changes_value: bool

    def allows(self, expected: Effect, got: Effect) -> bool:
        """Whether ``got`` is what the misheard words say where the right ones say ``expected``.

        It must be the same effect. Moment, repeat and volume may differ where a word of a value changed,
        and with a confused number also what it is done to; a name may differ by the words that changed.
        """
        if self.changes_value:
            target = got.target if self.kind == "numbers" else expected.target
            expected = replace(expected, target=target, due_s=got.due_s, repeat=got.repeat, level=got.level)
        if expected.name:
            wanted, name = {*expected.name.split()}, {*got.name.split()}
            if wanted - self.lost <= name <= wanted | self.heard:
                expected = replace(expected, name=got.name)
        return expected == got


class Confusions(msgspec.Struct, frozen=True):
    """The errors of a language: words that sound alike in groups, by table, and fillers.

    ``values`` are the words of numbers, times and dates, ``joints`` those that join them.
    """

    groups: Mapping[str, tuple[tuple[str, ...], ...]]
    fillers: tuple[str, ...]
    values: tuple[str, ...]
    joints: tuple[str, ...]

    @classmethod
    def load(cls, language: str = "en") -> "Confusions":
        """Return those of ``language``."""
        file = resources.files("voxd.skills").joinpath("languages", language, "confusions.toml")
        return msgspec.convert(tomli.loads(file.read_text(encoding="utf-8")), cls)

    def variants(self, sentences: tuple[str, ...], seed: int) -> Iterator[Mishearing]:
        """Yield one variant of each kind that is possible; one of the ``sentences`` is misheard in it."""
        # Seeded with the text: a line that is added to a file changes no other line's variants.
        chance = random.Random(f"{seed} {sentences}")
        at = chance.randrange(len(sentences))
        said = spoken_words(sentences[at])
        for kind, (start, end, heard) in self._edits(said, chance):
            words = [*said[:start], *heard, *said[end:]]
            if not words or words == said:
                continue
            yield Mishearing(
                kind,
                at,
                (*sentences[:at], " ".join(words), *sentences[at + 1 :]),
                frozenset(said[start:end]) - {*heard},
                frozenset(heard),
                self._changes_value(said, start, end, heard),
            )

    def _changes_value(self, said: list[str], start: int, end: int, heard: tuple[str, ...]) -> bool:
        changed = {*said[start:end], *heard}
        beside = {*said[max(start - 1, 0) : start], *said[end : end + 1]}
        joins = not changed.isdisjoint(self.joints) and not beside.isdisjoint(self.values)
        return joins or not changed.isdisjoint(self.values)

    def _edits(
        self, said: list[str], chance: random.Random
    ) -> Iterator[tuple[str, tuple[int, int, tuple[str, ...]]]]:
        """Yield kinds of errors, each with the stretch of ``said`` it takes and what is heard there."""
        at = chance.randrange(len(said))
        yield "dropped", (at, at + 1, ())
        at = chance.randrange(len(said))
        yield "doubled", (at, at + 1, (said[at], said[at]))
        for kind, groups in self.groups.items():
            found = [
                (at, at + len(words), tuple(other.split()))
                for group in groups
                for word in group
                for other in group
                if other != word
                for words in (word.split(),)
                for at in range(len(said) - len(words) + 1)
                if said[at : at + len(words)] == words
            ]
            if found:
                yield kind, chance.choice(found)
        at = chance.randrange(len(said) + 1)
        yield "filler", (at, at, (chance.choice(self.fillers),))


def spoken_words(sentence: str) -> list[str]:
    """Return the words of ``sentence`` as a recogniser writes them: no capitals, marks or round figures."""
    words: list[str] = []
    for token in sentence.lower().split():
        word = token.strip(_MARKS).removesuffix("." if token.count(".") == 1 else "")
        if word.isdecimal() and int(word) <= _MAX_FIGURE:
            words += number_words(int(word)).split()
        elif word:
            words.append(word)
    return words or [sentence]
