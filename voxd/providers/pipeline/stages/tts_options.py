"""Base classes of text-to-speech stages: typed options, and a connection opened in advance for HTTP."""

import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from voxd.net.transport import Access, HttpRequest, Transport
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech, parse_options

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


class ConfiguredTextToSpeech(TextToSpeech, Generic[OptionsT]):
    """A text-to-speech stage; ``options_type`` is the type of its options."""

    options_type: type[OptionsT]

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        """Raises `ConfigError` when an option is invalid."""
        super().__init__(config, transport)
        self._options = parse_options(config, self.options_type)

    @property
    def variant(self) -> Mapping[str, Any]:
        """Return everything that changes the audio of a text, including default values."""
        return {**super().variant, "settings": msgspec.to_builtins(self._options)}


class HttpTextToSpeech(ConfiguredTextToSpeech[OptionsT]):
    """A text-to-speech stage that makes one HTTP request for each text."""

    def prepare(self) -> None:
        """Open a connection while the user is still speaking."""
        # Nothing is sent yet: only the address of the request is used.
        self.transport.prepare(functools.partial(self._call, "."))

    @abstractmethod
    def _call(self, text: str, access: Access) -> HttpRequest:
        """Return the request that synthesises ``text``."""
