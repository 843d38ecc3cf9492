"""The way of sound to the provider: heard by the client VAD, converted, and sent or kept back."""

from collections import deque
from collections.abc import Awaitable, Callable

from voxd.clock import Clock
from voxd.engine.meter import EngineMeter
from voxd.engine.sound import Converter, converter
from voxd.engine.vad import EnergyVad, SpeechChange
from voxd.errors import AudioError
from voxd.frames import BYTES_PER_SAMPLE

PRE_ROLL_MS = 300
"""Sound before a voice was noticed that is sent too: soft first consonants lie below the threshold."""

Send = Callable[[bytes], Awaitable[None]]
OnSpeech = Callable[[SpeechChange, float], Awaitable[None]]
"""Takes what the user does, and when: milliseconds of sound since the beginning."""


class Uplink:
    """One stream of PCM at ``from_hz`` to a provider at ``to_hz``.

    With a VAD the microphone's sound is sent only during speech, from `PRE_ROLL_MS` and the time the
    VAD took on; audio that the caller pushes is always sent. ``on_speech`` is awaited before the sound that
    started the speech is sent and after the sound that ended it; ``on_sent`` gets all sound that went out, at
    ``from_hz``.
    """

    def __init__(
        self,
        send: Send,
        on_speech: OnSpeech,
        on_sent: Callable[[bytes], None],
        *,
        from_hz: int,
        to_hz: int,
        vad: EnergyVad | None,
        start_ms: int,
        meter: EngineMeter,
        clock: Clock,
    ) -> None:
        self._send = send
        self._on_speech = on_speech
        self._on_sent = on_sent
        self._rates = (from_hz, to_hz)
        self._at_ms = 0.0
        self._vad = vad
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._keep_bytes = (PRE_ROLL_MS + start_ms) * from_hz // 1000 * BYTES_PER_SAMPLE
        self._meter = meter
        self._clock = clock
        self._converter: Converter = converter(*self._rates)

    @property
    def speaking(self) -> bool:
        """Whether the VAD hears a voice."""
        return self._vad is not None and self._vad.speaking

    async def push(self, pcm: bytes, *, hold_back: bool) -> None:
        """Take sound in real time; ``hold_back`` keeps it here during silence. Raises `AudioError`."""
        check_pcm(pcm)
        self._at_ms += len(pcm) / BYTES_PER_SAMPLE / self._rates[0] * 1000
        signals = self._hear(pcm)
        started = SpeechChange.STARTED in signals
        if started:
            await self._on_speech(SpeechChange.STARTED, self._at_ms)
        if self._vad is None or not hold_back or self.speaking or signals:
            await self._flush_kept()
            await self._convert(pcm)
        else:
            self._keep(pcm)
        if SpeechChange.ENDED in signals and not self.speaking:
            await self.finish()
            await self._on_speech(SpeechChange.ENDED, self._at_ms)

    async def send_whole(self, pcm: bytes, *, piece_bytes: int) -> None:
        """Send a recording as it is, unheard by the VAD. Raises `AudioError`."""
        check_pcm(pcm)
        self.reset()
        for at in range(0, len(pcm), piece_bytes):
            await self._convert(pcm[at : at + piece_bytes])
        await self.finish()

    async def finish(self) -> None:
        """Send what the converter kept back: the end of an utterance."""
        rest = self._converter.feed(b"", last=True)
        self._converter = converter(*self._rates)
        if rest:
            await self._send(rest)

    def reset(self) -> None:
        """Forget what was heard and not sent."""
        self._kept.clear()
        self._kept_bytes = 0
        self._converter = converter(*self._rates)
        if self._vad is not None:
            self._vad.reset()

    def _hear(self, pcm: bytes) -> list[SpeechChange]:
        if self._vad is None:
            return []
        since_s = self._clock.monotonic()
        signals = self._vad.feed(pcm)
        self._meter.timed(self._meter.vad_ms, since_s)
        return signals

    def _keep(self, pcm: bytes) -> None:
        self._kept.append(pcm)
        self._kept_bytes += len(pcm)
        while self._kept_bytes - len(self._kept[0]) >= self._keep_bytes:
            self._kept_bytes -= len(self._kept.popleft())

    async def _flush_kept(self) -> None:
        while self._kept:
            pcm = self._kept.popleft()
            self._kept_bytes -= len(pcm)
            await self._convert(pcm)

    async def _convert(self, pcm: bytes) -> None:
        converted = self._converter.feed(pcm)
        if converted:
            await self._send(converted)
        self._on_sent(pcm)


def check_pcm(pcm: bytes) -> None:
    """Raise `AudioError` when ``pcm`` cannot be 16-bit samples."""
    if len(pcm) % BYTES_PER_SAMPLE:
        raise AudioError(f"{len(pcm)} bytes are not a whole number of 16-bit samples")
