"""Nothing that speaks on the device reports to its vendor."""

import os
import sys
from pathlib import Path

import pytest

from tests.local.speech import PIPER_VOICE
from tests.shared import needs_shared
from voxd.clock import SystemClock
from voxd.config.schema import Piper, Tts
from voxd.local.engines import CHILD_ENVIRONMENT, EngineResources, piper_synthesizer
from voxd.local.worker import Load, Worker

ROOT = str(Path(__file__).resolve().parents[2])
SPY = """
import os, sys
touched = []
sys.addaudithook(lambda event, args: touched.append(event) if event.startswith("socket.") else None)
from voxd.local.serve import EngineOutput, serve
from voxd.local.piper import PiperEngine

class Spied(PiperEngine):
    def work(self, op, data, payload, cancelled):
        yield from super().work(op, data, payload, cancelled)
        names = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
        sockets = [n for n in names if os.path.islink(n) and os.readlink(n).startswith("socket:")]
        variable = os.environ.get("ORT_DISABLE_TELEMETRY")
        yield EngineOutput("spied", b"", {"touched": touched, "sockets": sockets, "variable": variable})

serve(Spied)
"""


def files_in(directory: Path) -> list[Path]:
    return list(directory.rglob("*"))


def environment_of(pid: int | None) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


@needs_shared
async def test_piper_leaves_no_device_id_and_opens_no_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    worker = Worker(
        "piper",
        (sys.executable, "-c", SPY),
        lambda: Load({"voice": str(PIPER_VOICE), "length_scale": 1.0}),
        SystemClock(),
        timeout_s=60,
        idle_unload_s=300,
        environment={
            **CHILD_ENVIRONMENT,
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PYTHONPATH": ROOT,
        },
    )
    spied = [m.data async for m, _ in worker.request("synthesize", b"Nobody is told.") if m.op == "spied"]
    await worker.close()
    assert spied == [{"touched": [], "sockets": [], "variable": "1"}]
    assert files_in(tmp_path) == []


@needs_shared
async def test_the_variable_is_in_the_process_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    engine = piper_synthesizer(
        Tts(piper=Piper(voice=str(PIPER_VOICE)), timeout_s=60), EngineResources(Path("/x"), SystemClock())
    )
    async for _ in engine.synthesize("Hello."):
        pass
    pid = engine._worker.pid
    environment = environment_of(pid)
    await engine.close()
    assert b"ORT_DISABLE_TELEMETRY=1" in environment
    assert "ORT_DISABLE_TELEMETRY" not in os.environ
