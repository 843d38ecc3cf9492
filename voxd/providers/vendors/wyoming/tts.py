"""Text-to-speech by a Wyoming server on the local network, such as Piper's: one connection for each clause.

Wyoming can also stream the text (``synthesize-start``). A clause is already whole here, so that would only
cost a request for the server's capabilities; audio is streamed either way.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec
from msgspec import Meta
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeVoice

from voxd.audio.formats.samples import Encoding
from voxd.errors import StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.tts_options import ConfiguredTextToSpeech
from voxd.providers.pipeline.stages.tts_pace import PlaybackLead
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder
from voxd.providers.vendors.wyoming.options import WyomingTtsOptions
from voxd.providers.vendors.wyoming.wire import check, connect

FIRST_S = 20.0
"""How long the first audio may take without a deadline: a small machine may have to load a voice."""

GRACE_S = 10.0
"""A small machine that is slower than real time is better than no audio at all."""


class _Form(msgspec.Struct):
    rate: Annotated[int, Meta(gt=0, le=384_000)]
    width: Annotated[int, Meta(ge=1, le=4)]
    channels: Annotated[int, Meta(ge=1, le=8)]


class WyomingTts(ConfiguredTextToSpeech[WyomingTtsOptions]):
    """Voice and language are names that the server knows; without them it uses its defaults."""

    options_type = WyomingTtsOptions
    default_endpoint = "tcp://127.0.0.1:10200"

    async def check(self, budget: Budget) -> None:
        """Ask the server which services it has. Raises `ProviderError`."""
        await check(self.name, self.transport, budget, self.default_endpoint, "tts", "text-to-speech")

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``. Raises `ProviderError`."""
        async with connect(self.transport, budget, self.default_endpoint, kind="speak") as server:
            # Without a voice and a language the server uses its own defaults.
            voice = None
            if self.voice:
                voice = SynthesizeVoice(name=self.voice, speaker=self._options.speaker or None)
            elif self.config.language:
                voice = SynthesizeVoice(language=self.config.language)
            await server.send(Synthesize(text, voice=voice))
            pace = PlaybackLead(
                self.name, first_s=self.transport.remaining_s(budget, FIRST_S), grace_s=GRACE_S
            )
            decoder: SoundDecoder | None = None
            while True:
                event = await pace.wait_for(server.receive())
                if AudioStart.is_type(event.type):
                    decoder = self._decoder(event, decoder)
                elif AudioChunk.is_type(event.type):
                    decoder = self._decoder(event, decoder)
                    for clip in await decoder.feed(event.payload or b""):
                        pace.add(clip)
                        yield clip
                elif AudioStop.is_type(event.type):
                    break
            # A stop without audio is an error, which the decoder raises.
            for clip in await (decoder or SoundDecoder(self.name, Encoding(0))).finish():
                yield clip

    def _decoder(self, event: Event, decoder: SoundDecoder | None) -> SoundDecoder:
        """Return ``decoder``, or a new one for the format in ``event``. Raises `StreamError`."""
        try:
            form = msgspec.convert(event.data, _Form, strict=False)
        except msgspec.ValidationError as error:
            msg = f"the server sent no valid audio format: {error}"
            raise StreamError(msg, provider=self.name, code="bad_answer") from None
        encoding = Encoding(form.rate, width=form.width, channels=form.channels)
        # A server may repeat the format with every chunk, but not change it within a text.
        if decoder is not None and decoder.encoding != encoding:
            raise StreamError("the server changed the sample rate", provider=self.name, code="bad_answer")
        return decoder or SoundDecoder(self.name, encoding)
