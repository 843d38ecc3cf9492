import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voxd.config import schema_types
from voxd.config.checking import check
from voxd.config.layers import from_toml
from voxd.config.loading import load
from voxd.config.schema import Config
from voxd.config.toml_writer import json_schema, sample, to_toml
from voxd.providers.facts import config_facts

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "voxd.toml"


def uncommented(text: str) -> str:
    """Take away the "#" in front of every key and table."""
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE)


def leaves(kind: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    kind = schema_types.bare(kind)
    match kind:
        case msgspec.inspect.StructType():
            for field in kind.fields:
                yield f"{path}.{field.encode_name}", field.type
                yield from leaves(field.type, f"{path}.{field.encode_name}")
        case msgspec.inspect.VarTupleType():
            yield from leaves(kind.item_type, path)
        case msgspec.inspect.DictType():
            yield from leaves(kind.value_type, path)
        case msgspec.inspect.UnionType():
            for tag, table in schema_types.variants(kind).items():
                yield from leaves(table, f"{path}<{tag}>")


def holds_tables(kind: Any) -> bool:
    return any(True for _ in leaves(kind))


def test_the_sample_means_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text(sample())
    loaded = load(file, get_facts=config_facts, environ={})
    assert loaded.config == Config()
    assert loaded.warnings == ()


def test_every_line_of_the_sample_may_be_uncommented() -> None:
    assert check({"voxd.toml": uncommented(sample())}, get_facts=config_facts) == []


def test_the_sample_shows_the_true_defaults() -> None:
    layer, _ = from_toml("voxd.toml", uncommented(sample()))
    for section, example in (
        ("endpoint", "silence_s"),
        ("button", "pin"),
        ("button", "mute_switch_pin"),
        ("skills", "commands"),
        ("providers", "openai"),
        ("pipelines", "cloud"),
        ("spend", "usd_per_day"),
        ("rate_limit", "requests_per_minute"),
        ("rate_limit", "tokens_per_minute"),
        ("rate_limit", "max_concurrent"),
    ):
        del layer.data[section][example]
    del layer.data["prices"]
    assert msgspec.convert(layer.data, Config) == Config()


def test_every_key_of_the_schema_is_in_the_sample_and_described() -> None:
    text = sample()
    for path, kind in leaves(schema_types.root()):
        if holds_tables(kind) or path == ".version":
            continue
        assert re.search(rf"^#{path.rsplit('.', 1)[1]} = ", text, re.MULTILINE), path
        assert schema_types.notes(kind).get("description"), f"{path} has no description"


def test_the_shipped_file_is_the_sample() -> None:
    assert SHIPPED.read_text() == sample(), "run `voxctl config init --force config/voxd.toml`"


def test_the_json_schema_accepts_and_refuses_as_the_checker_does() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    layer, _ = from_toml("voxd.toml", uncommented(sample()))
    validator.validate(layer.data)
    for wrong in (
        {"audio": {"channels": 0}},
        {"audio": {"chanel": 1}},
        {"endpoint": {"mode": "relaxd"}},
        {"wake": {"words": [{}]}},
        {"agents": {"Big Name": {}}},
    ):
        assert list(validator.iter_errors(wrong)), wrong
    assert json.loads(json.dumps(schema))["$schema"].endswith("2020-12/schema")


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text(uncommented(sample()))
    config = load(file, get_facts=config_facts, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}).config
    again = tmp_path / "again.toml"
    again.write_text(to_toml(config))
    assert (
        load(again, get_facts=config_facts, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}).config == config
    )


def test_origins_stand_behind_the_values(tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text("[audio]\nchannels = 2\n[[wake.words]]\nname = 'alexa'\n")
    loaded = load(file, get_facts=config_facts, environ={"VOXD__LEDS__BRIGHTNESS": "1"})
    text = to_toml(loaded.config, loaded.origins)
    assert f"channels = 2  # {file}:2\n" in text
    assert f'name = "alexa"  # {file}:4\n' in text
    assert "brightness = 1.0  # environment\n" in text
    assert "channel = 0  # default\n" in text
