"""Base classes of text-to-speech stages: typed options, and a connection opened in advance for HTTP."""

import functools
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, ClassVar

import msgspec

from voxd.frames import Clip
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages.contract import ConfiguredStage, OptionsT, TextToSpeech
from voxd.providers.pipeline.stages.tts_http import SpeechRequest, stream_speech


class ConfiguredTextToSpeech(ConfiguredStage[OptionsT], TextToSpeech):
    """A text-to-speech stage with options."""

    @property
    def variant(self) -> Mapping[str, Any]:
        """Return everything that changes the audio of a text, including default values."""
        return {**super().variant, "settings": msgspec.to_builtins(self._options)}


class HttpTextToSpeech(ConfiguredTextToSpeech[OptionsT]):
    """A text-to-speech stage that makes one HTTP request for each text.

    Its options have ``sample_rate_hz``, the rate of the PCM it requests. ``bill_header`` is the response
    header, in lower case, with the number of billed characters.
    """

    bill_header: ClassVar[str] = ""

    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``. Raises `ProviderError`."""
        call = functools.partial(self._call, text)
        return stream_speech(self, self._speech(text, call), budget)

    def _speech(
        self, text: str, call: Callable[[Access], HttpRequest], *, repeatable: bool = False
    ) -> SpeechRequest:
        rate_hz: int = self._options.sample_rate_hz  # type: ignore[attr-defined]
        return SpeechRequest(text, call, rate_hz, self.refusal_reader, self.bill_header, repeatable)

    def prepare(self) -> None:
        """Open a connection while the user is still speaking."""
        # Nothing is sent yet: only the address of the request is used.
        self.transport.prepare(functools.partial(self._call, "."))

    @abstractmethod
    def _call(self, text: str, access: Access) -> HttpRequest:
        """Return the request that synthesises ``text``."""
