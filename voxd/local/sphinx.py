"""Pocketsphinx in its worker process: exact for the commands of its grammar, an open transcript otherwise."""

import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pocketsphinx import Decoder, get_model_path

from voxd.audio.sound import MIN_SPEECH_DBFS, loudest_dbfs
from voxd.errors import LocalEngineError, ModelError
from voxd.frames import samples_from_ms
from voxd.local.serve import EngineOutput

_log = logging.getLogger(__name__)

_Samples = np.ndarray[Any, np.dtype[np.int16]]

_GRAMMAR = "commands"
_OPEN = "open"
# About the logarithm of the smallest double: a score of 0 has none.
_LEAST_LOG = -700.0
_DROPPED = "<dropped>"
# So much of the wake word is left where the command follows in the same breath.
_LEAD_IN_SAMPLES = samples_from_ms(80)
# "the(2)": the second pronunciation of a word in the dictionary.
_VARIANT = re.compile(r"\(\d+\)$")
_RULE_NAME = re.compile(r"<[^>]*>")
# JSGF 1.0: {tag}, /weight/ and "quoted token"; none of them is a word to look up.
_TAG = re.compile(r"\{[^}]*\}|/[0-9.]+/|\"[^\"]*\"")
_WORD = re.compile(r"[^\s|()\[\]*+;=<>]+")


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """One word, the frames (10 ms) it covers, and its acoustic score (natural logarithm)."""

    text: str
    start_frame: int
    end_frame: int
    score: float

    @property
    def is_filler(self) -> bool:
        """Silence or noise, not a word."""
        return self.text.startswith(("<", "[", "+"))


# The command must explain this share of the frames in which the open recogniser found words.
MIN_COVERAGE = 0.6

# How much worse per frame of speech the grammar may explain the sound than the open recogniser.
MIN_SCORE = -1.0

# The same where the open recogniser found no more than two words: it fits them to so little sound that it is
# nearly always better, even where "stop" was said.
MIN_SCORE_SHORT = -4.5

# With so few words the score of the open recogniser says little.
_SHORT_WORDS = 2

# How much more the grammar loses per frame where the sound begins with the end of the wake word: the open
# recogniser finds words for that, the grammar has none (measured with four flite voices: 0.8 to 2.5).
LEAD_IN_COST = 2.0


def accepts(
    command: Sequence[RecognizedWord], free: Sequence[RecognizedWord], allowance: float = 0.0
) -> bool:
    """Whether to accept the grammar's ``command`` rather than the ``free`` transcript.

    ``allowance`` is how much worse than usual its score may be, per frame.
    """
    # The thresholds were set on 264 commands and 120 other sentences by four flite voices, and on 26
    # recordings of people.
    spoken = _frames(free)
    if not any(not word.is_filler for word in command):
        return False
    if not spoken:
        # The open pass found nothing at all: the command alone explains the sound.
        return True
    coverage = len(spoken & _frames(command)) / len(spoken)
    difference = (sum(word.score for word in command) - sum(word.score for word in free)) / len(spoken)
    free_words = sum(not word.is_filler for word in free)
    least = MIN_SCORE_SHORT if free_words <= _SHORT_WORDS else MIN_SCORE
    return coverage >= MIN_COVERAGE and difference >= least - allowance


def _frames(words: Sequence[RecognizedWord]) -> set[int]:
    return {
        frame for word in words if not word.is_filler for frame in range(word.start_frame, word.end_frame + 1)
    }


class SphinxEngine:
    """One decoder with two searches: the grammar and the English language model in the wheel."""

    def __init__(self) -> None:
        self._decoder: Any = None
        self._fsg: Any = None

    def load(self, settings: dict[str, Any], payload: bytes) -> None:
        """Load the model in the wheel and ``payload``, a JSGF grammar ("" for none)."""
        try:
            self._decoder = Decoder(lm=None, loglevel="FATAL", samprate=16000)
            self._decoder.add_lm_file(_OPEN, get_model_path("en-us/en-us.lm.bin"))
        except RuntimeError as error:
            raise ModelError(
                f"pocketsphinx's own model cannot be loaded: {error}", hint="reinstall pocketsphinx"
            ) from error
        grammar = payload.decode()
        if not grammar.strip():
            return
        grammar, unknown = void_unknown_words(
            grammar, lambda word: self._decoder.lookup_word(word) is not None
        )
        for word in unknown:
            _log.debug("not in the dictionary, its alternative is dropped: %s", word)
        try:
            self._decoder.add_jsgf_string(_GRAMMAR, grammar)
            self._fsg = self._decoder.get_fsg(_GRAMMAR)
        except (RuntimeError, ValueError) as error:
            # Open recognition still answers; with rapidfuzz behind it most commands are found.
            _log.warning("the grammar of commands cannot be used: %s", error)

    def work(
        self, op: str, data: dict[str, Any], payload: bytes, cancelled: Callable[[], bool]
    ) -> Iterator[EngineOutput]:
        """Transcribe ``payload``, int16 mono at 16 kHz."""
        if self._decoder is None or op != "transcribe":
            raise LocalEngineError(f"pocketsphinx cannot {op}")
        text = ""
        samples = np.frombuffer(payload, dtype="<i2")
        # On silence the grammar would still find its most similar sentence.
        if loudest_dbfs(samples.astype(np.float32) / 32768.0) > MIN_SPEECH_DBFS:
            text = self._transcribe(add_dither(samples), cancelled)
        if not cancelled():
            yield EngineOutput("transcript", text.encode())

    def _transcribe(self, samples: _Samples, cancelled: Callable[[], bool]) -> str:
        free = self._decode(_OPEN, samples, cancelled)
        if self._fsg is None or cancelled() or self._fsg.accept(text_of(free)):
            # The open recogniser found a command by itself: the grammar could only find a similar one.
            return text_of(free)
        command = self._command(samples, cancelled)
        if accepts(command, free) or (
            accepts(command, free, LEAD_IN_COST) and self._is_confirmed(command, samples, cancelled)
        ):
            return text_of(command)
        return text_of(free)

    def _is_confirmed(
        self, command: list[RecognizedWord], samples: _Samples, cancelled: Callable[[], bool]
    ) -> bool:
        """Whether the same command is accepted without what may be the end of the wake word."""
        rest = samples[_LEAD_IN_SAMPLES:]
        again = self._command(rest, cancelled)
        if text_of(again) != text_of(command):
            return False
        return accepts(again, self._decode(_OPEN, rest, cancelled))

    def _command(self, samples: _Samples, cancelled: Callable[[], bool]) -> list[RecognizedWord]:
        return cut_to_sentence(self._decode(_GRAMMAR, samples, cancelled), self._fsg.accept)

    def _decode(self, search: str, samples: _Samples, cancelled: Callable[[], bool]) -> list[RecognizedWord]:
        decoder = self._decoder
        decoder.activate_search(search)
        decoder.start_utt()
        # In one piece: the feature normalisation then sees the whole utterance.
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if cancelled() or decoder.hyp() is None:
            return []
        return [
            RecognizedWord(
                _VARIANT.sub("", segment.word),
                segment.start_frame,
                segment.end_frame,
                math.log(segment.ascore) if segment.ascore > 0 else _LEAST_LOG,
            )
            for segment in decoder.seg()
        ]


def cut_to_sentence(words: list[RecognizedWord], is_sentence: Callable[[str], bool]) -> list[RecognizedWord]:
    """Return ``words`` up to the last at which a sentence of the grammar is complete; [] if at none.

    The best path may end inside a sentence: "stop the" for "stop" and a breath. What comes
    after becomes filler: its score counts, but it explains nothing, so that "stop the music" is not "stop".
    """
    for end in range(len(words), 0, -1):
        if not words[end - 1].is_filler and is_sentence(text_of(words[:end])):
            return words[:end] + [replace(word, text=_DROPPED) for word in words[end:]]
    return []


def add_dither(samples: _Samples) -> _Samples:
    """Return ``samples`` with a noise of 3 steps, always the same: exact zeros have no logarithm."""
    # A fixed seed, so that the same sound always gives the same transcript.
    noise = np.random.default_rng(1).integers(-3, 4, samples.size)
    return np.asarray(np.clip(samples + noise, -32768, 32767), dtype=np.int16)


def text_of(words: list[RecognizedWord]) -> str:
    """Return the words without fillers."""
    return " ".join(word.text for word in words if not word.is_filler)


def void_unknown_words(grammar: str, known: Callable[[str], bool]) -> tuple[str, list[str]]:
    """Return ``grammar`` with `<VOID>` for each word that is not ``known``, and those words.

    JSGF 1.0, section 4.5: a sequence with <VOID> cannot be spoken, its alternatives still can.
    """
    unknown: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        word = match.group()
        if known(word):
            return word
        unknown.append(word)
        return "<VOID>"

    lines = []
    for line in grammar.splitlines():
        head, equals, body = line.partition("=")
        if not equals:
            head, body = "", line
        if line.startswith("#") or line.lstrip().startswith(("grammar ", "import ", "//")):
            lines.append(line)
            continue
        parts = _RULE_NAME.split(_TAG.sub(" ", body))
        names = _RULE_NAME.findall(body)
        words = [_WORD.sub(replaced, part) for part in parts]
        lines.append(head + equals + "".join(a + b for a, b in zip(words, [*names, ""], strict=True)))
    return "\n".join(lines), unknown
