"""`voxctl wake eval`: a process, recordings, a table."""

import shutil
from pathlib import Path

from tests.cli.conftest import Voxctl
from tests.shared import AUDIO, needs_shared
from voxd.audio.files import write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip


def recordings(folder: Path) -> list[Path]:
    found = [next((AUDIO / "synth_wake").glob(f"{word}__*.wav")) for word in ("hey_jarvis", "computer")]
    for file in found:
        shutil.copyfile(file, folder / file.name)
    return found


@needs_shared
async def test_it_counts_what_wakes_and_what_does_not(voxctl: Voxctl, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    recordings(folder)
    ran = await voxctl("wake", "eval", str(folder), "--word", "hey_jarvis")
    assert ran.code == 0
    head, columns, *rows = ran.out.splitlines()
    assert head == f"2 recordings in {folder}, 0 unreadable"
    assert columns.split() == ["WORD", "ENGINE", "WOKE", "FALSE", "OTHERS", "CPU", "%"]
    both = next(row for row in rows if "two stages" in row)
    assert "1/1" in both
    as_json = await voxctl("wake", "eval", str(folder), "--word", "hey_jarvis", "--json")
    assert as_json.json["words"][0]["positives"] == 1


@needs_shared
async def test_a_glob_says_which_files_hold_the_word(voxctl: Voxctl, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    recordings(folder)
    positive = "hey_jarvis=computer__*"
    ran = await voxctl("wake", "eval", str(folder), "--word", "hey_jarvis", "--positive", positive, "--json")
    (word,) = ran.json["words"]
    # The other one bears the name all the same: it is no negative.
    assert (word["positives"], word["negatives"]) == (1, 0)
    assert [engine["recalled"] for engine in word["engines"] if "two" in engine["engine"]] == [0]


async def test_a_damaged_recording_is_counted_unreadable_and_the_rest_is_judged(
    voxctl: Voxctl, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "hey_jarvis.flac").write_bytes(b"fLaC")
    write_wav(folder / "other.wav", Clip(bytes(32_000), SAMPLE_RATE_HZ))
    ran = await voxctl("wake", "eval", str(folder), "--word", "hey_jarvis")
    assert ran.code == 0
    head, *_, last = ran.out.splitlines()
    assert head == f"2 recordings in {folder}, 1 unreadable"
    assert last.startswith("unreadable: hey_jarvis.flac: ")


async def test_mistakes_are_named(voxctl: Voxctl, tmp_path: Path) -> None:
    assert (await voxctl("wake", "eval", str(tmp_path / "none"))).code == 66
    empty = await voxctl("wake", "eval", str(tmp_path))
    assert (empty.code, "no recordings" in empty.err) == (1, True)
    malformed = await voxctl("wake", "eval", str(tmp_path), "--positive", "alexa")
    assert (malformed.code, "WORD=GLOB" in malformed.err) == (64, True)
