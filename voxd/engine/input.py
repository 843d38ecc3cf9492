"""Audio input of an engine: captured or pushed audio, with client VAD, pre-roll and conversion, is sent."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from voxd.clock import Clock
from voxd.engine import audio, tuning
from voxd.engine.config import VoiceEngineConfig
from voxd.engine.meter import EngineMeter
from voxd.engine.vad import EnergyVad, SpeechChange
from voxd.errors import AudioError, NotConnected, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE
from voxd.tasks import in_thread

if TYPE_CHECKING:
    from voxd.engine.microphone import MicrophoneStream

# Audio from before detected speech that is sent too: soft first consonants lie below the threshold.
PRE_ROLL_MS = 300

# The length of the pieces in which a recording is sent: a vendor takes at most 15 MiB in one message.
PIECE_S = 1.0

Send = Callable[[bytes], Awaitable[None]]
# Takes a change of the VAD, and its time: milliseconds of audio since the beginning.
OnSpeech = Callable[[SpeechChange, float], Awaitable[None]]


class AudioInput:
    """The microphone and the uplink of one session. ``on_sent`` gets all audio sent to the provider."""

    def __init__(
        self,
        config: VoiceEngineConfig,
        *,
        send: Send,
        on_speech: OnSpeech,
        on_sent: Callable[[bytes], None],
        on_error: Callable[[VoxdError], None],
        emit: Emit,
        clock: Clock,
        meter: EngineMeter,
    ) -> None:
        self._config = config
        self._send = send
        self._on_speech = on_speech
        self._on_sent = on_sent
        self._on_error = on_error
        self._emit = emit
        self._clock = clock
        self._meter = meter
        self._microphone: MicrophoneStream | None = None
        self._changing = asyncio.Lock()
        self._uplink: Uplink | None = None
        self._to_hz = config.sample_rate
        self._client_vad = False

    @property
    def is_listening(self) -> bool:
        """Whether the microphone is open."""
        return self._microphone is not None

    @property
    def buffer_health(self) -> float:
        """The free share of the capture buffer, 1.0 without one."""
        return max(0.0, self._microphone.free_share) if self._microphone is not None else 1.0

    def set_target(self, config: VoiceEngineConfig, *, to_hz: int, client_vad: bool) -> None:
        """Send to a provider at ``to_hz`` from now on; ``client_vad``: the vendor detects no turns."""
        self._config, self._to_hz, self._client_vad = config, to_hz, client_vad
        # Made again with the next audio: the converter, the VAD and the pre-roll are of the old provider.
        self._uplink = None

    async def start(self) -> None:
        """Open the microphone, unless it is open. Raises `AudioError`."""
        async with self._changing:
            if self._microphone is None:
                await self._start()

    async def stop(self) -> None:
        """Close the microphone; what it captured until now is still sent. Idempotent."""
        # A push-to-talk key may be released while the microphone is still being opened: the lock orders both.
        async with self._changing:
            microphone, self._microphone = self._microphone, None
            if microphone is not None:
                await microphone.stop()
                self._emit(E.AUDIO_INPUT_STOPPED)

    async def _start(self) -> None:
        config = self._config
        # In a thread: numpy and the capture code take 70 ms to load.
        await in_thread(audio.preload_microphone, name="load audio")
        microphone = audio.make_microphone(
            config.input_device,
            rate_hz=config.sample_rate,
            chunk_ms=tuning.chunk_ms(config),
            clock=self._clock,
            emit=self._emit,
        )
        await microphone.start(self._on_chunk)
        self._microphone = microphone
        self._emit(E.AUDIO_INPUT_STARTED, sample_rate=config.sample_rate)
        if microphone.is_fallback:
            problem = "no microphone was found: a virtual one is used"
            self._on_error(AudioError(problem, hint="set input_device", code="no_device"))

    async def push(self, pcm: bytes) -> None:
        """Send audio that the caller captured. Raises `AudioError`, `ProviderError`."""
        # Not held back: the caller decides what to send, and may do without the silence itself.
        await self._open_uplink().push(pcm, hold_back=False)

    async def send_recording(self, pcm: bytes) -> None:
        """Send a recording, without the VAD. Raises `AudioError`, `ProviderError`."""
        piece_bytes = round(PIECE_S * self._config.sample_rate) * BYTES_PER_SAMPLE
        await self._open_uplink().send_recording(pcm, piece_bytes=piece_bytes)

    async def finish(self) -> None:
        """Send what the converter holds back: the user's turn has ended."""
        await self._open_uplink().finish()

    def _open_uplink(self) -> "Uplink":
        if self._uplink is None:
            config = self._config
            vad = EnergyVad(
                config.sample_rate,
                threshold=config.vad_threshold,
                start_ms=config.vad_speech_start_ms,
                end_ms=tuning.silence_ms(config),
            )
            self._uplink = Uplink(
                self._send,
                self._on_speech,
                self._on_sent,
                from_hz=config.sample_rate,
                to_hz=self._to_hz,
                vad=vad if self._client_vad else None,
                start_ms=config.vad_speech_start_ms,
                meter=self._meter,
                clock=self._clock,
            )
        return self._uplink

    async def _on_chunk(self, pcm: bytes, captured_s: float) -> None:
        self._meter.captured()
        duration_ms = len(pcm) / BYTES_PER_SAMPLE / self._config.sample_rate * 1000
        # Every chunk, also silence: a level meter of the caller lives on it.
        self._emit(E.AUDIO_INPUT_CHUNK, audio_data=pcm, duration_ms=duration_ms)
        try:
            await self._open_uplink().push(pcm, hold_back=True)
        except NotConnected:
            # The session is being reopened, and reports that itself; capture continues.
            return
        except VoxdError as error:
            # Reported, not raised: the capture goes on, and the next chunk may be sent.
            self._on_error(error)
            return
        self._meter.timed(self._meter.sent_ms, captured_s)


class Uplink:
    """One stream of PCM at ``from_hz`` to a provider at ``to_hz``.

    With a VAD the microphone's audio is sent only during speech, and before it the last `PRE_ROLL_MS` and
    the ``start_ms`` that detection takes; audio that the caller pushes is always sent. ``on_speech`` is
    awaited before the audio that started the speech is sent and after the audio that ended it. ``on_sent``
    gets all audio that was sent, at ``from_hz``.
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
        self._pre_roll: deque[bytes] = deque()
        self._pre_roll_bytes = 0
        # Detection takes ``start_ms`` of speech, which is in the pre-roll by then.
        self._pre_roll_limit_bytes = (PRE_ROLL_MS + start_ms) * from_hz // 1000 * BYTES_PER_SAMPLE
        self._meter = meter
        self._clock = clock
        self._converter: audio.Converter = audio.converter(*self._rates)

    async def push(self, pcm: bytes, *, hold_back: bool) -> None:
        """Take audio in real time; ``hold_back`` does not send silence. Raises `AudioError`."""
        _check_pcm(pcm)
        self._at_ms += len(pcm) / BYTES_PER_SAMPLE / self._rates[0] * 1000
        changes = self._detect(pcm)
        is_speech = self._vad is not None and self._vad.speaking
        # First, because it cuts the reply: the vendor must not get new speech while it still answers.
        if SpeechChange.STARTED in changes:
            await self._on_speech(SpeechChange.STARTED, self._at_ms)
        if self._vad is None or not hold_back or is_speech or changes:
            await self._send_pre_roll()
            await self._convert(pcm)
        else:
            self._keep(pcm)
        # Speech that ended and began again within one chunk goes on.
        if SpeechChange.ENDED in changes and not is_speech:
            await self.finish()
            await self._on_speech(SpeechChange.ENDED, self._at_ms)

    async def send_recording(self, pcm: bytes, *, piece_bytes: int) -> None:
        """Send a recording as it is, without the VAD. Raises `AudioError`."""
        _check_pcm(pcm)
        # What the microphone captured before belongs to another utterance.
        self._pre_roll.clear()
        self._pre_roll_bytes = 0
        self._converter = audio.converter(*self._rates)
        if self._vad is not None:
            self._vad.reset()
        for at in range(0, len(pcm), piece_bytes):
            await self._convert(pcm[at : at + piece_bytes])
        await self.finish()

    async def finish(self) -> None:
        """Send what the converter holds back: the end of an utterance."""
        # A resampler delays by its filter: without this the last milliseconds would come before the next
        # words.
        rest = self._converter.feed(b"", last=True)
        self._converter = audio.converter(*self._rates)
        if rest:
            await self._send(rest)

    def _detect(self, pcm: bytes) -> list[SpeechChange]:
        if self._vad is None:
            return []
        since_s = self._clock.monotonic()
        changes = self._vad.feed(pcm)
        self._meter.timed(self._meter.vad_ms, since_s)
        return changes

    def _keep(self, pcm: bytes) -> None:
        self._pre_roll.append(pcm)
        self._pre_roll_bytes += len(pcm)
        # Whole chunks, so at least the limit is kept: a cut chunk would save little and cost a copy.
        while self._pre_roll_bytes - len(self._pre_roll[0]) >= self._pre_roll_limit_bytes:
            self._pre_roll_bytes -= len(self._pre_roll.popleft())

    async def _send_pre_roll(self) -> None:
        while self._pre_roll:
            pcm = self._pre_roll.popleft()
            self._pre_roll_bytes -= len(pcm)
            await self._convert(pcm)

    async def _convert(self, pcm: bytes) -> None:
        converted = self._converter.feed(pcm)
        if converted:
            await self._send(converted)
        # At the caller's rate, for the recording, and only what the vendor got.
        self._on_sent(pcm)


def _check_pcm(pcm: bytes) -> None:
    """Raise `AudioError` when ``pcm`` cannot be 16-bit samples."""
    if len(pcm) % BYTES_PER_SAMPLE:
        raise AudioError(f"{len(pcm)} bytes are not a whole number of 16-bit samples")
