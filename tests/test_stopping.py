"""The end of a daemon that does not want to end, as the real process it is."""

import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rig import process as rig
from tests.rig.process import VoxdProcess
from voxd.audio.files import write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip

HANGS_AS_A_WHOLE = "voxd.main.STOP_LIMIT_S = {limit_s}\nvoxd.daemon.Daemon.stop = lambda self: time.sleep(60)"
LISTENING_HANGS = "voxd.listen.audio_processor.AudioProcessor._may_wait = lambda self, behind: time.sleep(60)"


@pytest.fixture
async def voxd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VoxdProcess]:
    """A daemon in a quiet room, of which a test breaks a part before it starts it."""
    write_wav(tmp_path / "quiet.wav", Clip(bytes(32_000), SAMPLE_RATE_HZ))
    monkeypatch.setattr(rig, "VOXD", tmp_path / "broken-voxd")
    sets = ('audio.input="virtual"', 'audio.output="virtual"', 'audio.virtual_input="quiet.wav"')
    process = VoxdProcess(tmp_path, sets=sets)
    yield process
    await process.close()


def broken(how: str) -> None:
    script = f"#!{sys.executable}\nimport sys, time\nimport voxd.main\n{how}\nsys.exit(voxd.main.main())\n"
    rig.VOXD.write_text(script)
    rig.VOXD.chmod(0o755)


async def test_a_daemon_that_hangs_while_it_stops_ends_by_itself_and_says_so(voxd: VoxdProcess) -> None:
    broken(HANGS_AS_A_WHOLE.format(limit_s=0.2))
    await voxd.start()
    assert await voxd.stop() == 70
    assert "hangs while it stops" in voxd.log


async def test_a_second_signal_ends_it_at_once(voxd: VoxdProcess) -> None:
    broken(HANGS_AS_A_WHOLE.format(limit_s=60))
    await voxd.start()
    assert voxd.process is not None
    voxd.process.send_signal(signal.SIGINT)
    await voxd.wait_notified("STOPPING=1")
    assert await voxd.stop() == -signal.SIGTERM


async def test_ears_that_hang_do_not_keep_the_daemon(voxd: VoxdProcess) -> None:
    broken(LISTENING_HANGS)
    await voxd.start()
    assert await voxd.stop() == 0
    assert "the listening thread hangs" in voxd.log
