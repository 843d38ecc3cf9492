"""The way of sound to the provider: what is sent, what is kept back, and at which rate."""

import pytest

from tests.engine.sounds import duration_ms, pieces, silence, tone
from tests.fakes import FakeClock
from voxd.engine.meter import EngineMeter
from voxd.engine.uplink import PRE_ROLL_MS, Uplink
from voxd.engine.vad import EnergyVad, SpeechChange
from voxd.errors import AudioError


class Sent:
    """What went out, in order: sound and signals."""

    def __init__(self) -> None:
        self.log: list[bytes | SpeechChange] = []
        self.raw = b""

    async def send(self, pcm: bytes) -> None:
        self.log.append(pcm)

    async def signal(self, speech: SpeechChange, at_ms: float) -> None:
        self.log.append(speech)

    def note(self, pcm: bytes) -> None:
        self.raw += pcm

    def sound(self) -> bytes:
        return b"".join(item for item in self.log if isinstance(item, bytes))

    def order(self) -> list[str]:
        kinds = ["sound" if isinstance(item, bytes) else item.value for item in self.log]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]


def uplink(sent: Sent, *, own_vad: bool = True, to_hz: int = 24_000) -> Uplink:
    clock = FakeClock()
    return Uplink(
        sent.send,
        sent.signal,
        sent.note,
        from_hz=24_000,
        to_hz=to_hz,
        vad=EnergyVad(24_000, threshold=0.02, start_ms=100, end_ms=500) if own_vad else None,
        start_ms=100,
        meter=EngineMeter(clock),
        clock=clock,
    )


SAID = silence(2000) + tone(400) + silence(2000)


async def test_the_microphone_is_silent_while_nobody_speaks() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(silence(2000)):
        await up.push(piece, hold_back=True)
    assert sent.log == []


async def test_speech_goes_out_with_its_beginning_and_its_silence() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(SAID):
        await up.push(piece, hold_back=True)
    assert sent.order() == ["started", "sound", "ended"]
    whole = sent.sound()
    assert tone(400) in whole
    assert whole.index(tone(400)) == pytest.approx(len(silence(PRE_ROLL_MS)), abs=len(silence(40)))
    assert duration_ms(whole) == pytest.approx(PRE_ROLL_MS + 400 + 500, abs=40)


async def test_what_the_caller_sends_is_never_kept_back() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(SAID):
        await up.push(piece, hold_back=False)
    assert sent.sound() == SAID
    assert sent.order() == ["sound", "started", "sound", "ended", "sound"]


async def test_without_a_vad_everything_goes_out_and_nothing_is_noticed() -> None:
    sent = Sent()
    up = uplink(sent, own_vad=False)
    for piece in pieces(SAID):
        await up.push(piece, hold_back=True)
    assert sent.sound() == SAID
    assert sent.order() == ["sound"]


@pytest.mark.parametrize("to_hz", [8_000, 16_000, 48_000])
async def test_sound_arrives_at_the_providers_rate_and_whole(to_hz: int) -> None:
    sent = Sent()
    up = uplink(sent, to_hz=to_hz)
    for piece in pieces(SAID):
        await up.push(piece, hold_back=True)
    assert sent.order() == ["started", "sound", "ended"]
    assert duration_ms(sent.sound(), to_hz) == pytest.approx(PRE_ROLL_MS + 400 + 500, abs=41)
    assert duration_ms(sent.raw) == pytest.approx(duration_ms(sent.sound(), to_hz), abs=1)


async def test_a_recording_is_sent_in_pieces_and_not_judged() -> None:
    sent = Sent()
    up = uplink(sent)
    await up.send_whole(SAID, piece_bytes=len(silence(1000)))
    assert sent.sound() == SAID
    assert [type(item) for item in sent.log] == [bytes] * 5


async def test_half_a_sample_is_refused() -> None:
    sent = Sent()
    with pytest.raises(AudioError):
        await uplink(sent).push(b"\0\0\0", hold_back=False)
