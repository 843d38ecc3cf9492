"""Audio to the provider: what is sent, what is held back, and at which rate."""

import pytest

from tests.engine.sounds import duration_ms, pieces, silence, tone
from tests.fakes import FakeClock
from voxd.engine.input import PRE_ROLL_MS, Uplink
from voxd.engine.meter import EngineMeter
from voxd.engine.vad import EnergyVad, SpeechChange
from voxd.errors import AudioError


class Sent:
    """What was sent, in order: audio and changes of the VAD."""

    def __init__(self) -> None:
        self.log: list[bytes | SpeechChange] = []
        self.raw = b""

    async def send(self, pcm: bytes) -> None:
        self.log.append(pcm)

    async def change(self, speech: SpeechChange, at_ms: float) -> None:
        self.log.append(speech)

    def note(self, pcm: bytes) -> None:
        self.raw += pcm

    def audio(self) -> bytes:
        return b"".join(item for item in self.log if isinstance(item, bytes))

    def order(self) -> list[str]:
        kinds = ["audio" if isinstance(item, bytes) else item.value for item in self.log]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]


def uplink(sent: Sent, *, client_vad: bool = True, to_hz: int = 24_000) -> Uplink:
    clock = FakeClock()
    return Uplink(
        sent.send,
        sent.change,
        sent.note,
        from_hz=24_000,
        to_hz=to_hz,
        vad=EnergyVad(24_000, threshold=0.02, start_ms=100, end_ms=500) if client_vad else None,
        start_ms=100,
        meter=EngineMeter(clock),
        clock=clock,
    )


SPEECH = silence(2000) + tone(400) + silence(2000)


async def test_silence_of_the_microphone_is_not_sent() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(silence(2000)):
        await up.push(piece, hold_back=True)
    assert sent.log == []


async def test_speech_is_sent_with_its_pre_roll_and_the_silence_that_ends_it() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(SPEECH):
        await up.push(piece, hold_back=True)
    assert sent.order() == ["started", "audio", "ended"]
    whole = sent.audio()
    assert tone(400) in whole
    assert whole.index(tone(400)) == pytest.approx(len(silence(PRE_ROLL_MS)), abs=len(silence(40)))
    assert duration_ms(whole) == pytest.approx(PRE_ROLL_MS + 400 + 500, abs=40)


async def test_audio_that_the_caller_pushes_is_never_held_back() -> None:
    sent = Sent()
    up = uplink(sent)
    for piece in pieces(SPEECH):
        await up.push(piece, hold_back=False)
    assert sent.audio() == SPEECH
    assert sent.order() == ["audio", "started", "audio", "ended", "audio"]


async def test_without_a_vad_all_audio_is_sent_and_no_speech_detected() -> None:
    sent = Sent()
    up = uplink(sent, client_vad=False)
    for piece in pieces(SPEECH):
        await up.push(piece, hold_back=True)
    assert sent.audio() == SPEECH
    assert sent.order() == ["audio"]


@pytest.mark.parametrize("to_hz", [8_000, 16_000, 48_000])
async def test_all_audio_arrives_at_the_providers_rate(to_hz: int) -> None:
    sent = Sent()
    up = uplink(sent, to_hz=to_hz)
    for piece in pieces(SPEECH):
        await up.push(piece, hold_back=True)
    assert sent.order() == ["started", "audio", "ended"]
    assert duration_ms(sent.audio(), to_hz) == pytest.approx(PRE_ROLL_MS + 400 + 500, abs=41)
    assert duration_ms(sent.raw) == pytest.approx(duration_ms(sent.audio(), to_hz), abs=1)


async def test_a_recording_is_sent_in_pieces_and_without_the_vad() -> None:
    sent = Sent()
    up = uplink(sent)
    await up.send_recording(SPEECH, piece_bytes=len(silence(1000)))
    assert sent.audio() == SPEECH
    assert [type(item) for item in sent.log] == [bytes] * 5


async def test_half_a_sample_is_refused() -> None:
    sent = Sent()
    with pytest.raises(AudioError):
        await uplink(sent).push(b"\0\0\0", hold_back=False)
