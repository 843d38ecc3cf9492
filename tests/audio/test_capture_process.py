"""The capture program's choice of rate, with a sound card that is only pretended."""

from typing import Any

import numpy as np
import pytest

from voxd.audio import capture_process
from voxd.audio.device_names import FoundDevice
from voxd.audio.portaudio import CONTINUE, INPUT_OVERFLOW, Callback
from voxd.audio.ring import Ring
from voxd.errors import DeviceError

ARGUMENTS = {"device": "Mic", "channels": 2, "block_ms": 40}


class Card:
    """A card that runs at one rate only."""

    rate_hz = 16_000
    callback: Callback
    block: int

    def find(self, name: str, direction: str) -> FoundDevice:
        return FoundDevice(0, name, 2, 0, float(self.rate_hz), True, False, name)

    def open(
        self, found: FoundDevice, direction: str, *, rate_hz: int, block: int, callback: Callback, **_: Any
    ) -> str:
        if rate_hz != self.rate_hz:
            raise DeviceError("wrong rate", code="rate")
        Card.callback, Card.block = callback, block
        return "stream"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> type[Card]:
    monkeypatch.setattr(capture_process, "PortAudio", Card)
    monkeypatch.setattr(capture_process.child_process, "report", lambda **_: None)
    return Card


def stereo_tone(rate_hz: int) -> bytes:
    time_s = np.arange(rate_hz) / rate_hz
    left = 8000 * np.sin(2 * np.pi * 1000 * time_s)
    return np.stack([left, -left], axis=1).astype("<i2").tobytes()


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_whatever_the_card_runs_at_the_ring_holds_16_khz(
    card: type[Card], rate_hz: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "rate_hz", rate_hz)
    with Ring.create(2, 2.0) as ring:
        assert capture_process._open(ring, ARGUMENTS) == "stream"
        assert card.block == rate_hz // 25
        tone = stereo_tone(rate_hz)
        step = card.block * 4
        for at in range(0, len(tone), step):
            assert card.callback(tone[at : at + step], 0, None, 0) == (None, CONTINUE)
        assert ring.head == pytest.approx(16_000, abs=1000)
        left, right = (np.frombuffer(ring.read(4000, 8000, c).pcm, np.int16).astype(int) for c in (0, 1))
    assert np.abs(np.fft.rfft(left)).argmax() == 500
    assert np.abs(left).max() == pytest.approx(8000, rel=0.02)
    assert np.abs(left + right).max() <= 2


def test_lost_samples_are_counted(card: type[Card]) -> None:
    with Ring.create(2, 1.0) as ring:
        card.rate_hz = 16_000
        capture_process._open(ring, ARGUMENTS)
        card.callback(bytes(40), 10, None, INPUT_OVERFLOW)
        card.callback(bytes(40), 10, None, 0)
        assert ring.overruns == 1
        assert ring.head == 20


def test_more_channels_than_the_card_has_are_refused(card: type[Card]) -> None:
    with Ring.create(4, 1.0) as ring, pytest.raises(DeviceError, match="has 2 channels"):
        capture_process._open(ring, {**ARGUMENTS, "channels": 4})
