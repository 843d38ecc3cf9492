"""The door for one more local engine: a file, and a line in the table."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import FakeClock, RecordingEmit
from voxd.config.schema import Stt
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.adapters import WorkerTranscriber
from voxd.local.engines import TRANSCRIBERS, EngineResources, build_transcriber, make_worker
from voxd.local.worker import Load

ROOT = Path(__file__).resolve().parents[2]

ENGINE = """
from voxd.local.serve import EngineOutput


class LengthEngine:
    def load(self, settings, payload):
        self.unit = settings["unit"]

    def work(self, op, data, payload, cancelled):
        yield EngineOutput("transcript", f"{len(payload) // 2} {self.unit}".encode(), {"confidence": 0.5})
"""


def length_engine(stt: Stt, at: EngineResources) -> WorkerTranscriber:
    return WorkerTranscriber(
        make_worker(
            "length",
            "length_engine:LengthEngine",
            lambda: Load({"unit": "samples"}),
            at.clock,
            timeout_s=stt.timeout_s,
            idle_unload_s=stt.idle_unload_s,
        )
    )


async def test_an_engine_of_another_package_is_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "length_engine.py").write_text(ENGINE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setitem(TRANSCRIBERS, "length", length_engine)
    stt = cast(Stt, SimpleNamespace(engine="length", timeout_s=20.0, idle_unload_s=60.0))
    emit: Any = RecordingEmit()
    chain = build_transcriber(stt, models_dir=tmp_path, grammar="", emit=emit, clock=FakeClock())
    try:
        transcript = await chain.transcribe(Clip(bytes(640), SAMPLE_RATE_HZ))
        status = chain.status()
    finally:
        await chain.close()
    assert (transcript.text, transcript.engine, transcript.confidence) == ("320 samples", "length", 0.5)
    assert (status.configured, status.active) == ("length", "length")
