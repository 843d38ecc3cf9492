"""What every vendor's voice has: options of its own, and for one by HTTP a connection opened ahead."""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from voxd.net.transport import Access, HttpRequest, Transport
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech, parse_options

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


class ConfiguredTextToSpeech(TextToSpeech, Generic[OptionsT]):
    """A voice of a vendor; ``known`` is the type of the options that can be set for it."""

    known: type[OptionsT]

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        """Raises `ConfigError` when an option cannot be used."""
        super().__init__(config, wire)
        self._options = parse_options(config, self.known)

    @property
    def variant(self) -> Mapping[str, Any]:
        """Return everything that changes the sound of a text, the defaults of ours with it."""
        return {**super().variant, "settings": msgspec.to_builtins(self._options)}


class HttpTextToSpeech(ConfiguredTextToSpeech[OptionsT]):
    """A voice that speaks each text by one HTTP request."""

    def prepare(self) -> None:
        """Connect while the user still speaks."""
        self.wire.prepare(functools.partial(self._call, "."))

    @abstractmethod
    def _call(self, text: str, access: Access) -> HttpRequest:
        """Return the request that has ``text`` spoken."""
