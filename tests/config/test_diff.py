import msgspec
import pytest

from voxd.config.diff import diff
from voxd.config.schema import Config


def config(**sections: object) -> Config:
    return msgspec.convert(sections, Config)


WORDS = [{"name": "alexa"}, {"name": "hey_jarvis"}]


@pytest.mark.parametrize(
    ("old", "new", "applied", "restart"),
    [
        ({}, {}, (), ()),
        ({}, {"audio": {"volume_percent": 10}}, (), ("audio.volume_percent",)),
        ({}, {"audio": {"channels": 2}}, (), ("audio.channels",)),
        (
            {},
            {"endpoint": {"silence_s": 1.0, "mode": "relaxed"}},
            ("endpoint.mode", "endpoint.silence_s"),
            (),
        ),
        ({}, {"stt": {"whisper": {"threads": 1}}}, (), ("stt.whisper.threads",)),
        (
            {"wake": {"words": WORDS}},
            {"wake": {"words": [WORDS[0], {"name": "hey_jarvis", "threshold": 0.9}]}},
            ("wake.words[1].threshold",),
            (),
        ),
        ({"wake": {"words": WORDS}}, {"wake": {"words": WORDS[:1]}}, ("wake.words",), ()),
        (
            {"wake": {"words": WORDS}},
            {"wake": {"words": WORDS[::-1]}},
            ("wake.words[0].name", "wake.words[1].name"),
            (),
        ),
        ({}, {"tts": {"piper": {"voice": "x"}}}, (), ("tts.piper.voice",)),
        ({}, {"agents": {"default": {}, "cook": {}}}, ("agents",), ()),
        ({}, {"agents": {"default": {"persona": "a pirate"}}}, ("agents.default.persona",), ()),
        ({}, {"providers": {"cloud": {"kind": "mock"}}}, ("providers",), ()),
        ({"leds": {"pins": [1]}}, {"leds": {"pins": [2]}}, (), ("leds.pins[0]",)),
        ({}, {"log": {"level": "debug"}, "paths": {"state": "/x"}}, ("log.level",), ("paths.state",)),
    ],
)
def test_a_change_is_live_or_waits_for_a_restart(
    old: dict[str, object], new: dict[str, object], applied: tuple[str, ...], restart: tuple[str, ...]
) -> None:
    assert diff(config(**old), config(**new)) == (applied, restart)
