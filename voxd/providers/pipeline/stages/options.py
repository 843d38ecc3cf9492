"""Reads the free settings of a stage into the ones its file knows, and says which one is wrong."""

from typing import TypeVar

import msgspec

from voxd.errors import ConfigError
from voxd.providers.pipeline.stages.contract import StageConfig

Options = TypeVar("Options", bound=msgspec.Struct)


def parse_options(config: StageConfig, kind: type[Options]) -> Options:
    """Return the options of ``config`` as ``kind``. Raises `ConfigError` for one that cannot be used.

    Others are passed over: they may be meant for the line, such as ``ca_file``, or for another stage of the
    same vendor.
    """
    try:
        return msgspec.convert(dict(config.options), kind)
    except msgspec.ValidationError as error:
        hint = f"correct options in [providers.{config.name}]"
        raise ConfigError(
            f"an option of the provider {config.name} cannot be used: {error}", hint=hint
        ) from None
