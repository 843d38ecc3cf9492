"""The endpointer: from voice probabilities to the start and the end of an utterance, in samples."""

from voxd.config.schema import Endpoint
from voxd.frames import samples_from_s
from voxd.turn.inputs import AwaitingSpeech, NoSpeechDetected, UserSpeechEnded, UserSpeechStarted

Signal = AwaitingSpeech | NoSpeechDetected | UserSpeechStarted | UserSpeechEnded

# The names and numbers of Home Assistant's assist pipeline (VadSensitivity in
# homeassistant/components/assist_pipeline/vad.py).
SILENCE_S = {"relaxed": 1.25, "default": 0.7, "aggressive": 0.25}

# After a pause this long, speech that has not yet counted as started is discarded as noise.
RESET_SAMPLES = samples_from_s(0.5)

# After this long without speech the user is waiting for a sign. Natural gaps between a wake word and its
# command are shorter.
AWAIT_SAMPLES = samples_from_s(0.35)

# Less speech than `Endpoint.start_s` still counts when silence follows: "no" takes 0.25 s. Anything shorter
# is the end of the wake word, or a click.
SHORT_SAMPLES = samples_from_s(0.2)

# A voice goes on while the probability is above the threshold less this; after a pause it must reach the
# threshold again, as in Silero's own iterator.
HYSTERESIS = 0.15


class Endpointer:
    """Fed with the sound from ``start`` on, chunk by chunk; emits each signal once, in order.

    With ``hold`` only `release` or the maximum length ends the utterance.
    """

    def __init__(
        self, start: int, settings: Endpoint, *, hold: bool = False, no_speech_s: float | None = None
    ) -> None:
        silence_s = settings.silence_s if settings.silence_s is not None else SILENCE_S[settings.mode]
        self._silence = samples_from_s(silence_s)
        self._voice_needed = samples_from_s(settings.start_s)
        self._no_speech = samples_from_s(settings.no_speech_s if no_speech_s is None else no_speech_s)
        self._max = samples_from_s(settings.max_s)
        self._threshold = settings.speech_threshold
        self._hold = hold
        self._start = start
        self._at = start
        self._onset = start
        self._voiced = 0
        self._quiet = 0
        self._last_voice = start
        self._awaited = hold
        self.started = False
        self.ended = False

    def feed(self, samples: int, probability: float) -> list[Signal]:
        """Take the next ``samples`` and the probability that they hold a voice."""
        if self.ended:
            return []
        began = self._at
        self._at += samples
        # Hysteresis: a voice that has begun goes on at a lower probability.
        goes_on = self._voiced > 0 and self._quiet == 0
        if probability >= self._threshold - (HYSTERESIS if goes_on else 0.0):
            return self._voice(began, samples)
        return self._silent(samples)

    def release(self, sample: int) -> list[Signal]:
        """End the utterance at ``sample``, as the user requested."""
        if self.ended:
            return []
        if not self._voiced:
            return self._end(NoSpeechDetected())
        signals: list[Signal] = [] if self.started else [self._begin()]
        # The release may be dated before the onset, which the VAD finds in chunks of 32 ms.
        return signals + self._end(UserSpeechEnded(max(sample, self._onset), "released"))

    def _voice(self, began: int, samples: int) -> list[Signal]:
        if not self._voiced:
            self._onset = began
        self._voiced += samples
        self._quiet = 0
        self._last_voice = self._at
        signals: list[Signal] = []
        if not self.started and self._voiced >= self._voice_needed:
            signals.append(self._begin())
        return signals + self._limits()

    def _silent(self, samples: int) -> list[Signal]:
        self._quiet += samples
        if self.started:
            if self._quiet >= self._silence and not self._hold:
                # Dated back to the last voice: the silence that proved the end is not part of the latency.
                return self._end(UserSpeechEnded(self._last_voice, "silence"))
            return self._limits()
        if self._quiet >= RESET_SAMPLES and not self._hold:
            # A short word ("no") never reaches `start_s`; silence after it makes it speech all the same.
            if self._voiced >= SHORT_SAMPLES:
                return [self._begin()]
            self._voiced = 0
        signals: list[Signal] = []
        long_enough = self._at - self._start >= AWAIT_SAMPLES and self._quiet >= AWAIT_SAMPLES // 2
        if long_enough and not self._awaited and self._voiced < SHORT_SAMPLES:
            self._awaited = True
            signals.append(AwaitingSpeech())
        return signals + self._limits()

    def _limits(self) -> list[Signal]:
        if self.started:
            if self._at - self._onset >= self._max:
                return self._end(UserSpeechEnded(self._at, "max_length"))
        elif self._hold:
            if self._at - self._start >= self._max:
                return self._end(NoSpeechDetected())
        elif self._at - self._start >= self._no_speech + (self._voiced and self._voice_needed):
            # Speech that begins at the last moment may complete its first syllable.
            return self._end(NoSpeechDetected())
        return []

    def _begin(self) -> Signal:
        self.started = True
        return UserSpeechStarted(self._onset)

    def _end(self, signal: Signal) -> list[Signal]:
        self.ended = True
        return [signal]
