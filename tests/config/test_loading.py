from pathlib import Path

import pytest

from voxd.config.loading import examine, load
from voxd.config.problems import InvalidConfig
from voxd.config.schema import Agent, Config
from voxd.errors import ConfigError
from voxd.providers.facts import config_facts

HEADERS = """
[[skills.commands]]
name = "lamp"
sentences = ["lamp"]
action = { type = "http", url = "http://lamp/", headers = { Authorization = { env = "LAMP_TOKEN" } } }
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    file = tmp_path / "voxd.toml"
    file.write_text("[audio]\nchannels = 2\nblock_ms = 20\nring_s = 5\nvolume_percent = 1\n")
    return file


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    loaded = load(None, get_facts=config_facts, environ={"CONFIGURATION_DIRECTORY": str(tmp_path)})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.files == ()


@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path, named_by: str) -> None:
    missing = tmp_path / "gone.toml"
    argument = missing if named_by == "argument" else None
    with pytest.raises(ConfigError, match="the file does not exist"):
        load(argument, get_facts=config_facts, environ={"VOXD_CONFIG": str(missing)})


def test_each_layer_overrides_the_one_before_and_origins_name_the_layer(main: Path) -> None:
    drop_ins = main.parent / "conf.d"
    drop_ins.mkdir()
    (drop_ins / "20-late.toml").write_text(
        "audio.block_ms = 60\naudio.ring_s = 7\naudio.volume_percent = 3\n"
    )
    (drop_ins / "10-early.toml").write_text("[audio]\nblock_ms = 50\n")
    (drop_ins / "ignored.txt").write_text("[nonsense]\n")
    environ = {"VOXD__AUDIO__RING_S": "8", "VOXD__AUDIO__VOLUME_PERCENT": "4", "VOXD_OTHER": "x"}
    loaded = load(main, get_facts=config_facts, environ=environ, overrides=["audio.volume_percent=5"])
    audio = loaded.config.audio
    assert (audio.channels, audio.block_ms, audio.ring_s, audio.volume_percent) == (2, 60, 8.0, 5)
    assert {
        key: loaded.origins[f"audio.{key}"] for key in ("channels", "block_ms", "ring_s", "volume_percent")
    } == {
        "channels": f"{main}:2",
        "block_ms": f"{drop_ins / '20-late.toml'}:1",
        "ring_s": "environment",
        "volume_percent": "--set",
    }
    assert loaded.origins["audio.channel"] == "default"


def test_a_list_is_replaced_and_its_origins_with_it(main: Path) -> None:
    main.write_text('[[wake.words]]\nname = "alexa"\n[[wake.words]]\nname = "okay_nabu"\nthreshold = 0.9\n')
    loaded = load(main, get_facts=config_facts, environ={}, overrides=['wake.words=[{name="hey_mycroft"}]'])
    assert [word.name for word in loaded.config.wake.words] == ["hey_mycroft"]
    assert loaded.origins["wake.words[0].name"] == "--set"
    assert loaded.origins["wake.words[0].threshold"] == "default"


def test_an_agent_of_ones_own_does_not_replace_the_default_one(main: Path) -> None:
    main.write_text('[agents.cook]\nprovider = "local"\n')
    assert load(main, get_facts=config_facts, environ={}).config.agents == {
        "default": Agent(),
        "cook": Agent(),
    }


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("audio.channels=2", "audio", "channels", 2),
        ("audio.ring_s=5.5", "audio", "ring_s", 5.5),
        ("turn.earcons=false", "turn", "earcons", False),
        ("tts.language=no", "tts", "language", "no"),
        ('tts.language="no"', "tts", "language", "no"),
        ("paths.state=2026", "paths", "state", "2026"),
        ("audio.input=hw: a = b", "audio", "input", "hw: a = b"),
        ("leds.kind=led", "leds", "kind", "led"),
    ],
)
def test_values_from_the_command_line_are_toml_or_else_text(
    override: str, section: str, key: str, value: object
) -> None:
    overrides = [override, "leds.pins=[17]"] if section == "leds" else [override]
    config = load(
        None, get_facts=config_facts, environ={"VOXD_CONFIG": "", "HOME": "/nonexistent"}, overrides=overrides
    ).config
    assert getattr(getattr(config, section), key) == value


def test_every_problem_of_every_layer_is_in_the_error(main: Path) -> None:
    main.write_text("[audio]\nchannels = 99\nchanel = 1\n[broken\n")
    with pytest.raises(InvalidConfig) as caught:
        load(
            main,
            get_facts=config_facts,
            environ={"VOXD__TURN__NAP": "1"},
            overrides=["log.level=loud", "nonsense"],
        )
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (str(main), 2),
        (str(main), 3),
        (str(main), 4),
        ("--set", 0),
        ("--set", 0),
        ("environment", 0),
    ]
    assert caught.value.code == "config_invalid"


@pytest.mark.parametrize(
    ("raw", "line", "message"),
    [
        (b"[audio]\n# \xff\n", 2, "not UTF-8"),
        (b"\xef\xbb\xbf[audio]\nchannels = 0\n", 2, "expected an integer"),
    ],
)
def test_bytes_that_are_not_text_are_reported_and_a_byte_order_mark_is_not(
    main: Path, raw: bytes, line: int, message: str
) -> None:
    main.write_bytes(raw)
    with pytest.raises(InvalidConfig, match=message) as caught:
        load(main, get_facts=config_facts, environ={})
    assert [problem.line for problem in caught.value.problems] == [line]


def test_a_directory_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="directory"):
        load(tmp_path, get_facts=config_facts, environ={})


def test_a_secret_is_read_and_never_shown(main: Path) -> None:
    main.write_text(HEADERS)
    loaded = load(main, get_facts=config_facts, environ={"LAMP_TOKEN": "hunter2"})
    action = loaded.config.skills.commands[0].action
    assert action.headers["Authorization"].reveal() == "hunter2"  # type: ignore[union-attr]
    assert "hunter2" not in repr(loaded)
    assert loaded.warnings == ()


def test_a_missing_key_among_several_is_reported_and_a_misspelt_source_only_as_misspelt(main: Path) -> None:
    keys = 'api_keys = [{ env = "SET" }, { env = "NOT_SET" }]\n'
    main.write_text(f'version = 1\n[providers.cloud]\nkind = "openai"\n{keys}')
    (warning,) = load(main, get_facts=config_facts, environ={"SET": "sk-1"}).warnings
    assert str(warning).startswith(f"{main}:4: warning: providers.cloud.api_keys[1]: the secret is missing")
    main.write_text('version = 1\n[providers.cloud]\nkind = "openai"\napi_key = { credental = "x" }\n')
    with pytest.raises(InvalidConfig) as raised:
        load(main, get_facts=config_facts, environ={})
    assert "is missing" not in str(raised.value)


def test_a_missing_key_of_a_provider_is_reported_with_its_line(main: Path) -> None:
    main.write_text('version = 1\n[providers.cloud]\nkind = "openai"\napi_key = { env = "NOT_SET" }\n')
    (warning,) = load(main, get_facts=config_facts, environ={}).warnings
    assert str(warning).startswith(f"{main}:4: warning: providers.cloud.api_key: the secret is missing")


def test_a_secret_that_is_missing_is_a_warning_and_fails_when_it_is_used(main: Path) -> None:
    main.write_text(HEADERS)
    loaded = load(main, get_facts=config_facts, environ={})
    assert [(problem.line, problem.severity) for problem in loaded.warnings] == [(5, "warning")]
    with pytest.raises(ConfigError, match="LAMP_TOKEN"):
        loaded.config.skills.commands[0].action.headers["Authorization"].reveal()  # type: ignore[union-attr]


def test_a_key_where_the_name_of_its_source_belongs_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text('[providers.a]\nkind = "openai"\napi_key = { env = "sk-0123456789abcdef0123" }\n')
    _, _, problems = examine(file, get_facts=config_facts, environ={})
    assert [(each.line, each.hint) for each in problems] == [
        (3, 'write { env = "name" }, and change the key at its vendor')
    ]
    assert "0123" not in str(problems)
