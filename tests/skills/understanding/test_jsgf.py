"""What pocketsphinx may hear is understood, is spoken by a real voice, and is recognised."""

import random
import re
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr
from pocketsphinx import Decoder

from voxd.config.commands import Command, ReplyAction
from voxd.errors import ConfigError
from voxd.skills.contract import Phrases
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.jsgf import MAX_PER_COMMAND, pronunciation_test, to_jsgf
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.templates import load_templates
from voxd.skills.understanding.understander import Understander, Verdict

Part = Callable[[random.Random], str]

OWN = (
    Command(
        name="lamp",
        sentences=(
            "(paint|make) [the] {room} {colour}",
            "paint it xyzzyish",
            "glow[s] for {duration}",
            "note {what}",
        ),
        slots={"room": ("Kitchen", "Room 5"), "colour": ("red", "blue")},
        action=ReplyAction(text="Done."),
    ),
)


class Sampler:
    """Draws random sentences from a JSGF grammar, by its own reading of the format."""

    def __init__(self, grammar: str) -> None:
        body = re.sub(r"//.*", "", grammar).split(";", 2)[2]
        self.rules = {}
        for rule in filter(str.strip, body.split(";")):
            name, _, right = rule.partition("=")
            self.rules[name.replace("public", "").strip(" <>\n")] = re.findall(
                r"[a-z']+|<\w+>|[()\[\]|]", right
            )

    def draw(self, dice: random.Random, name: str = "command") -> list[str]:
        words, rest = self._alternatives(self.rules[name], dice)
        assert rest == []
        return words

    def _alternatives(self, tokens: list[str], dice: random.Random) -> tuple[list[str], list[str]]:
        choices: list[list[str]] = [[]]
        while tokens and tokens[0] not in ")]":
            token, tokens = tokens[0], tokens[1:]
            if token == "|":
                choices.append([])
            elif token in "([":
                inner, tokens = self._alternatives(tokens, dice)
                tokens = tokens[1:]
                if token == "(" or dice.random() < 0.5:
                    choices[-1] += inner
            else:
                choices[-1] += self.draw(dice, token[1:-1]) if token[0] == "<" else [token]
        return dice.choice(choices), tokens


def understander_of(commands: tuple[Command, ...]) -> Understander:
    language, speech = load_language(), load_speech()
    return Understander(Grammar(commands, language, speech), language, speech, near_miss=1.0)


def test_every_sentence_of_the_grammar_is_understood() -> None:
    sampler, understander, dice = Sampler(to_jsgf((), bool)), understander_of(()), random.Random(7)
    drawn = {tuple(sampler.draw(dice)) for _ in range(1500)}
    assert len(drawn) > 500
    kinds = tuple(load_templates().answers)
    assert (
        sorted(
            " ".join(said)
            for said in drawn
            if understander.understand(said).verdict is not Verdict.ACT
            and understander.match_answer(said, kinds) is None
        )
        == []
    )


def test_every_word_of_the_grammar_can_be_pronounced() -> None:
    known = pronunciation_test()
    words = {
        word for tokens in Sampler(to_jsgf((), bool)).rules.values() for word in tokens if word[0].isalpha()
    }
    assert sorted(word for word in words if not known(word)) == []
    assert not known("xyzzyish")


def test_custom_sentences_are_expanded_without_words_that_cannot_be_recognised() -> None:
    rule = to_jsgf(OWN, pronunciation_test()).partition("<own> = ")[2].partition(";")[0]
    sentences = rule.split(" | ")
    assert "paint the kitchen red" in sentences
    assert "make room five blue" in sentences
    assert "glows for <duration>" in sentences
    assert [text for text in sentences if "xyzzyish" in text or "note" in text] == []


def test_no_command_grows_without_bound() -> None:
    many = Command(
        name="many",
        sentences=(" ".join("(a|b|c)" for _ in range(12)),),
        action=ReplyAction(text=""),
    )
    assert to_jsgf((many,), bool).partition("<own>")[2].count("|") <= MAX_PER_COMMAND + 10


def test_a_template_that_cannot_be_read_is_a_config_error() -> None:
    broken = Command(name="broken", sentences=("turn (on",), action=ReplyAction(text=""))
    with pytest.raises(ConfigError, match=r"skills.commands: the command 'broken'"):
        to_jsgf((broken,), bool)


def test_the_broken_template_of_a_package_is_not_reported_as_a_configuration_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^the intent 'kettle_boil'"):
        to_jsgf((Phrases("kettle_boil", ("boil (the",)),), bool)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    decoder = Decoder(lm=None, loglevel="FATAL", samprate=16000)
    decoder.add_jsgf_string("commands", to_jsgf(OWN, pronunciation_test()))
    decoder.activate_search("commands")
    return decoder


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
@pytest.mark.parametrize(
    "text",
    [
        "what time is it",
        "what is the date today",
        "set a timer for five minutes",
        "set a timer for twenty five minutes",
        "set a five minute pizza timer",
        "how much time is left",
        "add five minutes to the timer",
        "pause the timer",
        "resume the timer",
        "what is my next alarm",
        "snooze",
        "undo that",
        "cancel the timer",
        "wake me up at seven every weekday",
        "set an alarm for six thirty a m",
        "remind me to call mother at five",
        "turn the volume up",
        "set the volume to fifty percent",
        "repeat that",
        "never mind",
        "what can you do",
        "turn on the kitchen light",
        "paint the kitchen red",
    ],
)
def test_spoken_commands_are_recognised(decoder: Decoder, tmp_path: Path, text: str) -> None:
    file = tmp_path / "spoken.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(file)], check=True)
    with wave.open(str(file)) as spoken:
        pcm = np.frombuffer(spoken.readframes(spoken.getnframes()), np.int16)
        pcm = soxr.resample(pcm, spoken.getframerate(), 16_000)
    silence = np.zeros(8_000, np.int16)
    decoder.start_utt()
    decoder.process_raw(np.concatenate([silence, pcm, silence]).tobytes(), full_utt=True)
    decoder.end_utt()
    understander = understander_of(OWN)
    heard, meant = (understander.understand(tuple(said.split())) for said in (decoder.hyp().hypstr, text))
    assert meant.verdict is Verdict.ACT
    assert heard.matches == meant.matches
