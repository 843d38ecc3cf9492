from typing import Annotated

import msgspec
import pytest

from voxd.errors import ConfigError
from voxd.providers.pipeline.stages.contract import StageConfig, parse_options


class Known(msgspec.Struct, frozen=True):
    speed: Annotated[float, msgspec.Meta(ge=0.7, le=1.2)] = 1.0
    style: str = ""


def config(**options: object) -> StageConfig:
    return StageConfig("den", "someone", options=options)


def test_options_left_out_have_their_defaults() -> None:
    assert parse_options(config(speed=0.9), Known) == Known(speed=0.9)


def test_options_of_others_are_passed_over() -> None:
    assert parse_options(config(ca_file="/x", keyterms=["voxd"]), Known) == Known()


@pytest.mark.parametrize(
    ("value", "hint"), [("fast", "[providers.den]"), (None, "[providers.den]"), (3, "speed = 1.2")]
)
def test_one_that_cannot_be_used_is_named_with_its_provider(value: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=r"speed") as raised:
        parse_options(config(speed=value), Known)
    assert "den" in str(raised.value)
    assert hint in raised.value.hint
