import pytest

from tests.config.views import Without
from voxd.config.checking import check
from voxd.config.rules import BUILTIN_WORDS, READ_SLOTS
from voxd.listen import openwakeword
from voxd.providers.facts import config_facts
from voxd.skills.understanding import slots

COMMAND = '[[skills.commands]]\nname = "lamp"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[audio]\nchannels = 2\nchannel = 2", "3: error: audio.channel"),
        ("[audio]\nchannel = 1", "2: error: audio.channel"),
        ('[[wake.words]]\nname = "alexa"\n[[wake.words]]\nname = "alexa"', "4: error: wake.words[1].name"),
        ('[[wake.words]]\nname = "alexia"', "2: error: wake.words[0].name"),
        ('[[wake.words]]\nname = "own"\nmodel = "own.pkl"', "3: error: wake.words[0].model"),
        ('[[wake.words]]\nname = "own"\nmodel = "gone.onnx"', "3: warning: wake.words[0].model"),
        ('[[wake.words]]\nname = "alexa"\nagent = "cook"', "3: error: wake.words[0].agent"),
        ('[[wake.words]]\nname = "alexa"\nenabled = false', "1: warning: wake.words"),
        ("[wake]\nwords = []", "2: warning: wake.words"),
        ('[leds]\nkind = "rgbled"\npins = [17, 27]', "3: error: leds.pins"),
        ('[leds]\nkind = "led"', "1: error: leds.pins"),
        ('[leds]\nkind = "rgbled"\npins = [17, 27, 27]', "3: error: leds.pins"),
        ("[leds]\npins = [1]", "2: warning: leds.pins"),
        ('[leds]\nkind = "led"\npins = [4]\n[button]\npin = 4', "5: error: button.pin"),
        ("[button]\npin = 4\nmute_switch_pin = 4", "3: error: button.mute_switch_pin"),
        ("[button]\nhold_ms = 2000\nlong_ms = 1500", "3: error: button.long_ms"),
        ("[endpoint]\nmax_s = 2\nsilence_s = 3.0", "3: error: endpoint.silence_s"),
        ('[stt.whisper]\nlanguage = "de"', "2: warning: stt.whisper.language"),
        ('[stt.whisper]\nmodel = "./gone.bin"', "2: warning: stt.whisper.model"),
        ('[tts.piper]\nvoice = "/gone.onnx"', "2: warning: tts.piper.voice"),
        ('[tts]\nengine = "flite"\nlanguage = "fr"', "2: warning: tts.engine"),
        ('[audio]\nvirtual_input = "gone.wav"', "2: warning: audio.virtual_input"),
        ('[control]\nsocket = "/a"\nread_socket = "/a"', "3: error: control.read_socket"),
        (f'[control]\nsocket = "/{"a" * 107}"', "2: error: control.socket"),
        (
            COMMAND + 'sentences = ["lamp in {room}"]\naction = { type = "reply", text = "x" }',
            "3: warning: skills.commands[0].sentences[0]",
        ),
        (
            COMMAND + 'sentences = ["lamp in {rooms} or {room}"]\nslots.room = ["a"]\n'
            'action = { type = "reply", text = "x" }',
            "3: error: skills.commands[0].sentences[0]",
        ),
        (
            COMMAND
            + 'sentences = ["lamp for {duration:span}"]\naction = { type = "reply", text = "{duration}" }',
            "4: error: skills.commands[0].action.text",
        ),
        (
            COMMAND + 'sentences = ["lamp"]\naction = { type = "shell", command = ["a", "{room}"] }',
            "4: error: skills.commands[0].action.command[1]",
        ),
        (
            COMMAND + 'sentences = ["lamp"]\nslots.room = ["a"]\naction = { type = "reply", text = "x" }',
            "4: warning: skills.commands[0].slots.room",
        ),
        (
            COMMAND + 'sentences = ["lamp"]\naction = { type = "http", url = "lamp.local/on" }',
            "4: error: skills.commands[0].action.url",
        ),
        (
            COMMAND + 'sentences = ["lamp"]\n[skills.commands.action]\ntype = "http"\nurl = "http://lamp"\n'
            'headers."X-Api-Key" = "hunter2"',
            "7: warning: skills.commands[0].action.headers.X-Api-Key",
        ),
        (
            (COMMAND + 'sentences = ["lamp"]\naction = { type = "reply", text = "x" }\n') * 2,
            "6: error: skills.commands[1].name",
        ),
    ],
)
def test_a_broken_rule_is_reported_once_and_at_its_place(text: str, expected: str) -> None:
    problems = [
        str(problem)
        for problem in check({"f": text}, get_facts=config_facts, view=Without(lambda name: "gone" in name))
    ]
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"f:{expected}: ")
    assert "hint: " in problems[0]
    assert "hunter2" not in problems[0]


def test_the_built_in_words_are_those_of_the_engine() -> None:
    assert set(BUILTIN_WORDS) == set(openwakeword.builtin_words())


def test_the_slots_that_need_no_values_are_those_the_skills_read() -> None:
    assert READ_SLOTS == slots.OWN_SLOTS


@pytest.mark.parametrize(
    "text",
    [
        '[agents.cook]\nprovider = "local"\n[[wake.words]]\nname = "alexa"\nagent = "cook"\n[[wake.words]]\n'
        'name = "hey_jarvis"\nagent = "default"',
        '[leds]\nkind = "rgbled"\npins = [17, 27, 22]\n[button]\npin = 4\nmute_switch_pin = 5',
        COMMAND + 'sentences = ["lamp in {room:place}"]\nslots = { room = ["hall"] }\n'
        'action = { type = "http", url = "http://h/{place}", body = \'{"a": {"b": "{place}"}}\' }',
        COMMAND + 'sentences = ["lamp at {clock} for {duration:span} to {number}"]\n'
        'action = { type = "shell", command = ["sh", "-c", "${HOME}/lamp {clock} {span} {number}"] }',
        '[[wake.words]]\nname = "own"\nmodel = "own.tflite"',
        '[stt.whisper]\nmodel = "base"\nlanguage = "de"',
    ],
)
def test_what_breaks_no_rule_has_no_problem(text: str) -> None:
    assert check({"f": text}, get_facts=config_facts) == []


def test_a_mistake_reported_by_the_schema_is_not_reported_again_by_a_rule() -> None:
    text = (
        '[audio]\nchannels = "x"\nchannel = 7\n[leds]\nkind = "rbg"\npins = [1]\n[[wake.words]]\nname = 3\n'
    )
    problems = check({"f": text}, get_facts=config_facts)
    assert [problem.key for problem in problems] == ["audio.channels", "leds.kind", "wake.words[0].name"]
