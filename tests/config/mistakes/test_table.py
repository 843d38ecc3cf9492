"""The table of mistakes: what is written, the one problem it gives, and what is offered instead."""

import pytest

from voxd.config.checking import check
from voxd.providers.facts import config_facts

COMMAND = '[[skills.commands]]\nname = "lamp"\nsentences = ["lamp in {room}"]\nslots = { room = ["hall"] }\n'
OPENAI = 'kind = "openai"\napi_key = { credential = "k" }\n[agents.default]\nprovider = "cloud"'
LED = '[leds]\nkind = "led"\n'


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        # Percent and fractions, seconds and milliseconds, decimal commas, units.
        ("[leds]\nbrightness = 40", 2, "brightness = 0.4"),
        ('[leds]\nbrightness = "40%"', 2, "brightness = 0.4"),
        ("[leds]\nbrightness = 40%", 2, "brightness = 40"),
        ("[audio]\nvolume_percent = 0.7", 2, "volume_percent = 70"),
        ('[audio]\nvolume_percent = "70 %"', 2, "volume_percent = 70"),
        ("[endpoint]\nsilence_s = 0,5", 2, "silence_s = 0.5"),
        ('[endpoint]\nsilence_s = "0,5"', 2, "silence_s = 0.5"),
        ("[endpoint]\nsilence_s = .5", 2, "silence_s = 0.5"),
        ("[endpoint]\nmax_s = 15000", 2, "max_s = 15"),
        ('[turn]\nfollow_up_s = "5s"', 2, "follow_up_s = 5"),
        ('[turn]\nfollow_up_s = "5000 ms"', 2, "follow_up_s = 5"),
        ("[turn]\nreply_timeout_s = 30000", 2, "reply_timeout_s = 30"),
        ("[button]\nhold_ms = 0.4", 2, "hold_ms = 400"),
        ('[button]\nlong_ms = "3 s"', 2, "long_ms = 3000"),
        # Booleans.
        ('[turn]\nearcons = "true"', 2, "earcons = true"),
        ("[turn]\nearcons = True", 2, "earcons = true"),
        ("[turn]\nearcons = off", 2, "earcons = false"),
        ("[turn]\nearcons = 1", 2, "earcons = true"),
        # Quotes of a word processor, missing quotes, and other syntax.
        ("[audio]\ninput = \u201chw\u201d", 2, 'input = "hw"'),
        ("[audio]\ninput = \u2018hw\u2019", 2, "input = 'hw'"),
        ("[audio]\ninput = hw", 2, 'input = "hw"'),
        ('[audio]\ninput = "hw', 2, 'input = "hw"'),
        ('[audio]\ninput = "hw";', 2, 'input = "hw"'),
        ('[audio]\ninput: "hw"', 2, 'input = "hw"'),
        ('[audio]\ninput\u00a0= "hw"', 2, 'input = "hw"'),
        ("[audio]\ninput = None", 2, "remove the line"),
        ('[paths]\nstate = "C:\\voxd"', 2, "state = 'C:\\voxd'"),
        ("[audio\nchannels = 2", 1, "[audio]"),
        # The same again, with both lines.
        ("[audio]\nchannels = 2\n[turn]\n[audio]\nchannel = 1", 4, "move its keys to line 1"),
        ("[audio]\nchannels = 2\nchannels = 1", 3, "remove one of the lines 2 and 3"),
        # Case, hyphens and CamelCase.
        ("[Audio]\nChannels = 2", 1, 'did you mean "audio"?'),
        ("[audio]\nVolumePercent = 20", 2, 'did you mean "volume_percent"?'),
        ("[audio]\nvolume-percent = 20", 2, 'did you mean "volume_percent"?'),
        ('[log]\nlevel = "INFO"', 2, 'did you mean "info"?'),
        ('[[wake.words]]\nname = "Alexa"', 2, 'name = "alexa"'),
        # Nothing follows from a mistake.
        (f"[providers.cloud\n{OPENAI}", 1, "[providers.cloud]"),
        (f"[provider.cloud]\n{OPENAI}", 1, 'did you mean "providers"?'),
        (f"[providers.cloud]\n{OPENAI}".replace('"openai"', "openai"), 2, 'kind = "openai"'),
        (f"[providers.cloud]\n{OPENAI}".replace("kind", "knd"), 2, 'did you mean "kind"?'),
        # Pins.
        ('[button]\npin = "GPIO17"', 2, "pin = 17"),
        ("[button]\npin = GPIO17", 2, "pin = 17"),
        ('[button]\npin = "BCM 17"', 2, "pin = 17"),
        ('[button]\npin = "BOARD11"', 2, "pin = 17"),
        ('[button]\npin = "J8:11"', 2, "pin = 17"),
        ("[button]\npin = 17.0", 2, "pin = 17"),
        ("[button]\npin = [22]", 2, "pin = 22"),
        ("[button]\npin = 27.0", 2, "pin = 27"),
        ("[button]\npin = 99", 2, "pin = 17"),
        ("[button]\npin = -1", 2, "pin = 17"),
        ("[button]\npin = 37", 2, "pin 37 of the header is GPIO 26: pin = 26"),
        ("[button]\npin = 2", 2, "choose another line, such as 17"),
        ("[button]\nmute_switch_pin = 18", 2, "choose another line, such as 17"),
        (f"{LED}pins = [14]", 3, "choose another line, such as 17"),
        (f"{LED}pins = [17]\n[button]\npin = 17", 5, "choose another pin"),
        # Amounts and groups of digits.
        ('[spend]\nusd_per_day = "$5"', 2, "usd_per_day = 5"),
        ('[spend]\nusd_per_day = "2,50 \u20ac"', 2, "usd_per_day = 2.5"),
        ("[control]\nmax_line_bytes = 65,536", 2, "max_line_bytes = 65536"),
        # Two settings in a line, no equals sign, comments of other languages.
        ('[audio]\ninput = "hw" output = "hw"', 2, "write output in a line of its own"),
        ("[audio]\nchannels=2, channel=1", 2, "write channel in a line of its own"),
        ('[audio]\ninput "hw"', 2, 'input = "hw"'),
        ("[audio]\n; input", 2, "remove the line"),
        # Text where a list belongs.
        (
            f'{COMMAND}action = {{ type = "shell", command = "ls -l \'/a b\'" }}',
            5,
            'command = ["ls", "-l", "/a b"]',
        ),
        ('[agents.default]\nfallback = "local, local"', 2, 'fallback = ["local", "local"]'),
        # Keys without their section.
        ('input = "hw"', 1, "input belongs to [audio]"),
        ('[cloud]\nkind = "openai"', 1, "write [providers.cloud]"),
        # A key that is there is not also a missing one.
        ('[providers.a]\nkind = "openai"\napi_key = { envir = "X" }', 3, 'api_key = { credential = "name" }'),
        (
            '[providers.a]\nkind = "openai"\napi_key = { env = "X", file = "/x" }',
            3,
            'api_key = { credential = "name" }',
        ),
        # Languages.
        ('[providers.a]\nkind = "mock"\nlanguage = "german"', 3, 'language = "de"'),
        ('[tts]\nlanguage = "german"', 2, 'language = "de"'),
        ('[tts]\nlanguage = "xx"', 2, "use a code of ISO 639-1, such as en, de or fr"),
        ('[stt.whisper]\nlanguage = "jp"', 2, 'language = "ja"'),
        ('[tts]\nengine = "piper"\nlanguage = "de"', 3, 'language = "en"'),
        # Slots of what is said.
        (f'{COMMAND}action = {{ type = "reply", text = "In {{Room}}." }}', 5, 'did you mean "room"?'),
        (
            f'{COMMAND}action = {{ type = "shell", command = ["true"] }}\nreply = "In {{rom}}."',
            6,
            'did you mean "room"?',
        ),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_mistake_is_one_problem_at_its_line_with_what_was_meant(
    text: str, line: int, hint: str, newline: str
) -> None:
    problems = check({"f": text.replace("\n", newline)}, get_facts=config_facts)
    assert [(problem.line, problem.hint) for problem in problems] == [(line, hint)]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff[audio]\nchannels = 2",
        "[audio]\r\nchannels = 2\r\n",
        "[audio]\rchannels = 2\r",
        "\t[audio]\n\tchannels\t=\t2\t# two\n",
        '[tts]\nlanguage = "de-AT"\nengine = "espeak"',
        f"{LED}pins = [17]",
    ],
)
def test_what_only_looks_unusual_is_fine(text: str) -> None:
    assert check({"f": text}, get_facts=config_facts) == []


@pytest.mark.parametrize(
    "line",
    [
        "api_key = \u201csk-proj-HUNTER2\u201d",
        "api_key = sk-proj-HUNTER2",
        'api_key: "sk-proj-HUNTER2"',
        'endpoint = "sk-proj-HUNTER2"',
        'api_key = "Bearer sk-proj-HUNTER2"',
    ],
)
def test_no_problem_repeats_a_secret(line: str) -> None:
    problems = check({"f": f'[providers.cloud]\nkind = "openai"\n{line}'}, get_facts=config_facts)
    assert problems
    assert "HUNTER2" not in " ".join(map(str, problems))


def test_a_key_that_leaves_the_house_in_clear_text_is_noticed() -> None:
    text = '[providers.cloud]\nkind = "openai"\napi_key = { credential = "k" }\nendpoint = "http://{}/v1"'
    for host, problems in (("api.example.com", 1), ("10.0.0.2:8000", 0), ("server.local", 0), ("pi:80", 0)):
        assert len(check({"f": text.replace("{}", host)}, get_facts=config_facts)) == problems, host
