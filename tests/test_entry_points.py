"""A package beside voxd adds a skill, local engines and an LED back end; no file of voxd changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxd.entry_points import find_entry_points, load_entry_point

ROOT = Path(__file__).resolve().parents[1]

ENTRIES = """\
[voxd.skills]
kettle = kettle_skill:KettleSkill
broken = kettle_skill:Missing

[voxd.transcribers]
length = length_builder:length
broken = length_builder:broken

[voxd.leds]
ring = ring_leds:Ring
led = ring_leds:Ring
"""

SKILL = """
from voxd.plugin import Skill, SkillReply

class KettleSkill(Skill):
    sentences = {"kettle_boil": ("boil [the] water [for {minutes}]",)}

    def handlers(self):
        return {"kettle_boil": self.boil}

    async def boil(self, slots):
        return SkillReply(f"Boiling at volume {self.context.device.volume()}.")
"""

ENGINE = """
from voxd.local.serve import EngineOutput

class LengthEngine:
    def load(self, settings, payload):
        self.unit = settings["unit"]

    def work(self, op, data, payload, cancelled):
        yield EngineOutput("transcript", f"{len(payload) // 2} {self.unit}".encode(), {"confidence": 0.5})
"""

ENGINE_BUILDER = """
from voxd.plugin import Load, WorkerTranscriber, make_worker

def length(stt, resources):
    settings = Load({"unit": "samples"})
    times = {"timeout_s": stt.timeout_s, "idle_unload_s": stt.idle_unload_s}
    engine = "length_engine:LengthEngine"
    return WorkerTranscriber(make_worker("length", engine, lambda: settings, resources.clock, **times))

def broken(stt, resources):
    raise RuntimeError("no such library")
"""

LEDS = """
class Ring:
    count = 12
    frames = []

    def __init__(self, config):
        self.config = config

    def show(self, frame):
        Ring.frames.append(frame)

    def close(self):
        Ring.frames.append([])
"""

USE_SKILL = """
import asyncio, logging
from types import SimpleNamespace
from voxd.clock import SystemClock
from voxd.config import schema
from voxd.skills.engine import SkillEngine

logging.basicConfig()
device = SimpleNamespace(volume=lambda: 40)
skills = SkillEngine(schema.Skills(), timers=None, device=device, clock=SystemClock())
assert "boil the water" in skills.jsgf()
reply = asyncio.run(skills.answer("please boil the water"))
print(reply.intent, reply.text)
print(asyncio.run(skills.answer("what time is it")).intent)
"""

USE_LEDS = """
import asyncio
from voxd.clock import SystemClock
from voxd.config import schema
from voxd.hardware.leds import open_leds
from voxd.hardware.patterns import Cue
from ring_leds import Ring

async def main():
    leds = open_leds(schema.Leds(kind="ring", brightness=0.5), clock=SystemClock(), emit=print)
    leds.show(Cue.MUTED)
    await leds.close()
    print(leds.status, Ring.frames == [[(0.5, 0.0, 0.0)] * 12, []])

asyncio.run(main())
"""


USE_ENGINE = """
import asyncio
from pathlib import Path
from voxd.clock import SystemClock
from voxd.config.checking import check
from voxd.config.schema import Stt
from voxd.providers.facts import config_facts
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.engines import build_transcriber

async def transcribe(engine):
    chain = build_transcriber(
        Stt(engine=engine), models_dir=Path("/x"), grammar="", clock=SystemClock(),
        emit=lambda name, **data: print(name, data["engine"]),
    )
    try:
        if engine == "broken":
            return chain.status()
        return await chain.transcribe(Clip(bytes(640), SAMPLE_RATE_HZ))
    finally:
        await chain.close()

if __name__ == "__main__":
    print([str(problem) for name in ("length", "lenght")
           for problem in check({"f": f'[stt]\\nengine = "{name}"'}, get_facts=config_facts)])
    print(asyncio.run(transcribe("length")))
    print(asyncio.run(transcribe("broken")))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    metadata = tmp_path / "kettle-1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "kettle_skill.py").write_text(SKILL)
    (tmp_path / "length_engine.py").write_text(ENGINE)
    (tmp_path / "length_builder.py").write_text(ENGINE_BUILDER)
    (tmp_path / "ring_leds.py").write_text(LEDS)
    return tmp_path


def run(package: Path, program: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.append({str(package)!r})\n{program}"
    # The worker of an engine is a process of its own: it finds the package by the environment.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(package)))}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment
    )


def test_a_package_adds_a_skill_with_its_sentences(package: Path) -> None:
    result = run(package, USE_SKILL)
    assert result.stdout.splitlines() == ["kettle_boil Boiling at volume 40.", "time"], result.stderr
    assert "the skill broken cannot be loaded" in result.stderr


def test_a_package_adds_an_led_back_end_that_shows_a_ring(package: Path) -> None:
    result = run(package, USE_LEDS)
    assert result.stdout == "ring True\n", result.stderr


def test_a_package_adds_a_local_engine_that_config_check_knows(package: Path) -> None:
    result = run(package, USE_ENGINE)
    assert result.returncode == 0, result.stderr
    checked, transcript, *_ = result.stdout.splitlines()
    assert 'did you mean "length"?' in checked, result.stderr
    assert checked.count("stt.engine") == 1
    assert transcript == "LocalTranscript(text='320 samples', engine='length', confidence=0.5)"


def test_the_next_engine_serves_when_the_package_of_one_fails(package: Path) -> None:
    result = run(package, USE_ENGINE)
    assert result.returncode == 0, result.stderr
    *_, failed, changed, status = result.stdout.splitlines()
    assert (failed, changed) == ("engine.failed broken", "engine.changed pocketsphinx"), result.stderr
    assert "configured='broken', active='pocketsphinx'" in status
    assert "no such library" in status


def test_a_package_cannot_take_a_name_of_voxd(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package))
    assert find_entry_points("voxd.leds") == {
        "led": "voxd.hardware.gpio_leds:SingleLed",
        "rgbled": "voxd.hardware.gpio_leds:RgbLed",
        "ring": "ring_leds:Ring",
    }


def test_the_first_of_two_versions_on_the_path_counts(
    package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("older") / "kettle-0.9.dist-info"
    other.mkdir()
    (other / "entry_points.txt").write_text("[voxd.leds]\nold = gone:Gone\n")
    monkeypatch.syspath_prepend(str(other.parent))
    monkeypatch.syspath_prepend(str(package))
    assert "old" not in find_entry_points("voxd.leds")


@pytest.mark.parametrize("group", ["voxd.skills", "voxd.leds", "voxd.transcribers", "voxd.synthesizers"])
def test_every_entry_point_of_voxd_can_be_loaded(group: str) -> None:
    assert all(callable(load_entry_point(reference)) for reference in find_entry_points(group).values())
