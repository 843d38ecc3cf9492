"""Recordings of turns: two files each, only so many, and only for their owner."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import Make
from tests.engine.sounds import duration_ms, pieces, silence, tone
from tests.fakes import FakeClock
from tests.properties import examples
from voxd.audio.files import read_wav
from voxd.engine import recording
from voxd.engine.recording import SessionRecording, select_surplus, turn_of


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def test_a_turn_is_two_files_of_one_name(make: Make, tmp_path: Path) -> None:
    engine, log = make(save_audio=True, audio_save_path=tmp_path / "sound")
    await engine.connect()
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    await log.wait("response.completed")
    await engine.disconnect()
    reply, user = files(tmp_path / "sound")
    assert (user.name[-9:], reply.name[-10:]) == ("-user.wav", "-reply.wav")
    assert turn_of(user.name) == turn_of(reply.name)
    assert read_wav(reply).pcm == log.sound()
    assert tone(400) in read_wav(user).pcm
    assert stat.S_IMODE(user.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sound").stat().st_mode) == 0o700


async def test_recorded_and_typed_questions_are_saved_too(make: Make, tmp_path: Path) -> None:
    engine, log = make(save_audio=True, audio_save_path=str(tmp_path))
    await engine.connect()
    await engine.send_recorded_audio(tone(400))
    await log.wait("response.completed")
    await engine.ask("hello")
    await engine.disconnect()
    assert [path.name.rsplit("-", 1)[1] for path in files(tmp_path)] == [
        "reply.wav",
        "user.wav",
        "reply.wav",
    ]


async def test_without_save_audio_nothing_is_written(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine, _ = make(audio_save_path=tmp_path / "sound")
    await engine.connect()
    await engine.ask("hello")
    await engine.disconnect()
    assert files(tmp_path) == []


async def test_the_default_directory_is_recordings(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine, _ = make(save_audio=True)
    await engine.connect()
    await engine.ask("hello")
    await engine.disconnect()
    assert len(files(tmp_path / "recordings")) == 1


async def test_only_the_newest_turns_are_kept_and_other_files_stay(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.wav").touch()
    engine, _ = make(save_audio=True, audio_save_path=tmp_path, audio_save_limit=2)
    await engine.connect()
    for _ in range(4):
        await engine.ask("hello")
    await engine.disconnect()
    assert [path.name[:4] for path in files(tmp_path)] == ["mine", "voxd", "voxd"]


async def test_a_directory_that_cannot_be_written_does_not_disturb(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine, _ = make(save_audio=True, audio_save_path=tmp_path / "file")
    await engine.connect()
    assert await engine.ask("hello")
    await engine.disconnect()


async def test_a_side_that_never_ends_is_cut_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_SIDE_S", 1)
    kept = SessionRecording(tmp_path, rate_hz=24_000, keep_turns=9, clock=FakeClock())
    for _ in range(3):
        kept.add("user", tone(600))
    kept.finish("user")
    await kept.close()
    assert duration_ms(read_wav(files(tmp_path)[0]).pcm) == 1000
    assert kept.dropped_bytes == len(tone(800))


@examples(50)
@given(turns=st.sets(st.integers(0, 30)), keep=st.integers(1, 10), sides=st.sets(st.sampled_from("ur")))
def test_the_files_of_the_oldest_turns_are_surplus(turns: set[int], keep: int, sides: set[str]) -> None:
    names = [f"voxd-2026-{turn:06d}-{side}.wav" for turn in turns for side in sides]
    old = select_surplus(names, keep)
    left = {turn_of(name) for name in set(names) - set(old)}
    assert len(left) == min(keep, len(turns)) or not sides
    assert left.isdisjoint(turn_of(name) for name in old)
    assert all(turn_of(name) < min(left) for name in old)
