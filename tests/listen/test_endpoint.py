"""The endpointer as a table of voice and silence, its property, and noise that must not hold it open."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.listen.speech import needs_flite, say
from tests.properties import examples
from tests.shared import AUDIO, needs_shared
from voxd.config.schema import Endpoint
from voxd.frames import samples_from_s
from voxd.listen.capture import VAD_CHUNK_SAMPLES, Vad
from voxd.listen.endpoint import Endpointer, Signal
from voxd.listen.recordings import load
from voxd.turn.inputs import AwaitingSpeech, NoSpeechDetected, UserSpeechEnded, UserSpeechStarted

CHUNK_S = VAD_CHUNK_SAMPLES / 16_000
START = 100_000


def run(endpointer: Endpointer, *spans: tuple[str, float]) -> list[Signal]:
    """Feed spans of ("voice" or "quiet", seconds)."""
    signals: list[Signal] = []
    for kind, seconds in spans:
        for _ in range(round(seconds / CHUNK_S)):
            signals += endpointer.feed(VAD_CHUNK_SAMPLES, 0.9 if kind == "voice" else 0.05)
    return signals


def at(seconds: float) -> int:
    """Return the sample of the chunk boundary nearest to ``seconds`` after the start."""
    return START + round(seconds / CHUNK_S) * VAD_CHUNK_SAMPLES


@pytest.mark.parametrize(
    ("settings_", "spans", "expected"),
    [
        pytest.param(
            {},
            [("voice", 1.6), ("quiet", 1.0)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(1.6), "silence")],
            id="speech at once, then silence",
        ),
        pytest.param(
            {},
            [("quiet", 0.96), ("voice", 1.6), ("quiet", 1.0)],
            [AwaitingSpeech(), UserSpeechStarted(at(0.96)), UserSpeechEnded(at(2.56), "silence")],
            id="a pause first",
        ),
        pytest.param({}, [("quiet", 6.0)], [AwaitingSpeech(), NoSpeechDetected()], id="no speech"),
        pytest.param(
            {},
            [("voice", 0.096), ("quiet", 6.0)],
            [AwaitingSpeech(), NoSpeechDetected()],
            id="the last of the wake word is not speech",
        ),
        pytest.param(
            {},
            [("voice", 0.256), ("quiet", 1.6)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(0.256), "silence")],
            id="a short no is an answer",
        ),
        pytest.param(
            {},
            [("voice", 0.96), ("quiet", 0.544), ("voice", 0.96), ("quiet", 1.0)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(2.464), "silence")],
            id="a short pause does not end it",
        ),
        pytest.param(
            {"mode": "relaxed"},
            [("voice", 0.96), ("quiet", 0.96), ("voice", 0.96), ("quiet", 1.28)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(2.88), "silence")],
            id="relaxed waits 1.25 s",
        ),
        pytest.param(
            {"mode": "aggressive"},
            [("voice", 0.96), ("quiet", 0.32), ("voice", 0.96)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(0.96), "silence")],
            id="aggressive waits 0.25 s",
        ),
        pytest.param(
            {"mode": "aggressive", "silence_s": 1.0},
            [("voice", 0.96), ("quiet", 0.32), ("voice", 0.96), ("quiet", 1.6)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(2.24), "silence")],
            id="silence_s overrides the mode",
        ),
        pytest.param(
            {"max_s": 4.0},
            [("voice", 9.0)],
            [UserSpeechStarted(at(0)), UserSpeechEnded(at(4.0), "max_length")],
            id="maximum length",
        ),
    ],
)
def test_spans_of_voice_and_quiet(
    settings_: dict[str, Any], spans: list[tuple[str, float]], expected: list[Signal]
) -> None:
    assert run(Endpointer(START, Endpoint(**settings_)), *spans) == expected


def test_a_follow_up_gives_up_after_its_own_time() -> None:
    endpointer = Endpointer(START, Endpoint(), no_speech_s=2.0)
    assert NoSpeechDetected() not in run(endpointer, ("quiet", 1.9))
    assert run(endpointer, ("quiet", 0.2)) == [NoSpeechDetected()]


def test_while_held_silence_ends_nothing_and_the_release_does() -> None:
    endpointer = Endpointer(START, Endpoint(), hold=True)
    spans = (("quiet", 1.6), ("voice", 0.96), ("quiet", 4.0))
    assert run(endpointer, *spans) == [UserSpeechStarted(at(1.6))]
    assert endpointer.release(at(7.0)) == [UserSpeechEnded(at(7.0), "released")]
    assert endpointer.release(at(8.0)) == []


def test_a_release_without_a_word_is_no_speech() -> None:
    endpointer = Endpointer(START, Endpoint(), hold=True)
    run(endpointer, ("quiet", 1.0))
    assert endpointer.release(at(1.0)) == [NoSpeechDetected()]


def test_a_release_right_after_a_word_keeps_the_word() -> None:
    endpointer = Endpointer(START, Endpoint(), hold=True)
    run(endpointer, ("voice", 0.16))
    assert endpointer.release(at(0.2)) == [UserSpeechStarted(at(0)), UserSpeechEnded(at(0.2), "released")]


@examples(60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), max_size=60),
    st.booleans(),
    st.sampled_from(["relaxed", "default", "aggressive"]),
)
def test_the_signals_come_once_and_in_order(spans: list[tuple[int, float]], hold: bool, mode: Any) -> None:
    endpointer = Endpointer(START, Endpoint(mode=mode), hold=hold)
    signals: list[Signal] = []
    for chunks, probability in spans:
        for _ in range(chunks):
            signals += endpointer.feed(VAD_CHUNK_SAMPLES, probability)
    signals += endpointer.release(endpointer._at)
    kinds = [type(signal) for signal in signals]
    assert kinds in (
        [NoSpeechDetected],
        [AwaitingSpeech, NoSpeechDetected],
        [UserSpeechStarted, UserSpeechEnded],
        [AwaitingSpeech, UserSpeechStarted, UserSpeechEnded],
    )
    samples = [signal.sample for signal in signals if isinstance(signal, UserSpeechStarted | UserSpeechEnded)]
    assert samples == sorted(samples)


def hear(samples: np.ndarray) -> list[Signal]:
    vad, endpointer = Vad(), Endpointer(0, Endpoint())
    signals: list[Signal] = []
    for start in range(0, len(samples) - VAD_CHUNK_SAMPLES + 1, VAD_CHUNK_SAMPLES):
        chunk = samples[start : start + VAD_CHUNK_SAMPLES].tobytes()
        signals += endpointer.feed(VAD_CHUNK_SAMPLES, vad.probability(chunk))
    return signals


def noisy(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> tuple[np.ndarray, int]:
    """Return half a second of noise, speech in noise, five seconds of noise; and where speech ends."""
    clean = np.concatenate([np.zeros(8_000), speech.astype(np.float64), np.zeros(80_000)])
    floor = np.tile(noise.astype(np.float64), len(clean) // len(noise) + 1)[: len(clean)]
    wanted = np.sqrt((speech.astype(np.float64) ** 2).mean()) * 10 ** (-snr_db / 20)
    mixed = clean + floor * wanted / np.sqrt((floor**2).mean())
    return np.clip(mixed, -32768, 32767).astype(np.int16), 8_000 + len(speech)


def coloured(colour: str) -> np.ndarray:
    white = np.random.default_rng(7).normal(size=96_000)
    if colour == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum)


@needs_flite
@pytest.mark.parametrize("text", ["What time is it?", "No."])
@pytest.mark.parametrize("colour", ["white", "pink"])
def test_steady_noise_at_10_db_does_not_hold_it_open(colour: str, text: str) -> None:
    mixed, end = noisy(say(text), coloured(colour), 10)
    _assert_ends_in_time(hear(mixed), end)


@needs_shared
@pytest.mark.parametrize("noise", ["noise2", "noise3", "noise4", "noise5"])
def test_recorded_noise_at_10_db_does_not_hold_it_open_after_real_speech(noise: str) -> None:
    speech = np.frombuffer(load(AUDIO / "asr/speechbrain_libri/spk2_snt2.wav"), np.int16)
    floor = np.frombuffer(load(AUDIO / f"noise/speechbrain/{noise}.wav"), np.int16)
    mixed, end = noisy(speech, floor, 10)
    _assert_ends_in_time(hear(mixed), end)


def _assert_ends_in_time(signals: list[Signal], end: int) -> None:
    ended = next(signal for signal in signals if isinstance(signal, UserSpeechEnded))
    assert ended.reason == "silence"
    assert abs(ended.sample - end) < samples_from_s(0.6)
