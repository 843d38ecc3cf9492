"""Checks of microphone, loudspeaker, wake words, VAD, speech-to-text, text-to-speech and GPIO."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from voxd.audio.devices import list_devices
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.sound import dbfs, to_rate
from voxd.children import explain_exit
from voxd.cli.doctor.check import (
    CheckResult,
    DoctorContext,
    Status,
    call_daemon,
    discard_event,
    fail,
    ok,
    skip,
    warn,
)
from voxd.clock import SystemClock
from voxd.config.paths import models_dir
from voxd.config.schema import Config
from voxd.errors import DeviceError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.engines import build_synthesizer, build_transcriber
from voxd.reports import EngineStatus

# Below `CHECK_TIMEOUT_S`, so that the probe's process is ended and its check names the reason.
_PROBE_TIMEOUT_S = 20.0
_SENTENCE = "what time is it"
# pocketsphinx recognises only the sentences of a grammar (JSGF).
_GRAMMAR = f"#JSGF V1.0;\ngrammar doctor;\npublic <sentence> = {_SENTENCE};\n"
_VIRTUAL = "virtual"


def input_present(context: DoctorContext) -> CheckResult:
    """Whether the configured microphone exists."""
    return _present(context.config.audio.input, "input", "the virtual microphone is used")


def output_present(context: DoctorContext) -> CheckResult:
    """Whether the configured loudspeaker exists."""
    return _present(context.config.audio.output, "output", "replies go to a WAV file")


def _present(wanted: str, direction: str, instead: str) -> CheckResult:
    key = f"audio.{direction}"
    if wanted == _VIRTUAL:
        return skip(f"{key} is virtual: no device is needed")
    devices = [device for device in asyncio.run(list_devices()) if device.direction == direction]
    if wanted in {"auto", "default"}:
        matching = [device for device in devices if device.is_default]
    else:
        # As the daemon resolves a name: the exact one first, else any that contains it.
        matching = [device for device in devices if device.name == wanted] or [
            device for device in devices if wanted.lower() in device.name.lower()
        ]
    if matching:
        chosen = matching[0]
        return ok(f"{chosen.name} ({chosen.channels} channels, {chosen.default_rate_hz:.0f} Hz)")
    if wanted == "auto" and not devices:
        return warn(f"this machine has no {direction} device: {instead}", "plug one in")
    names = ", ".join(device.name for device in devices) or "none"
    return fail(f'unknown device "{wanted}"; available: {names}', f"correct {key}, or plug it in")


def input_opens(context: DoctorContext) -> CheckResult:
    """Whether sound comes from the microphone; read from the daemon if it runs, as it uses the card."""
    if context.config.audio.input == _VIRTUAL:
        return skip("audio.input is virtual")
    status = call_daemon(context, "system.status")
    if status is None:
        return asyncio.run(_record_briefly(context.config))
    audio = status["audio"]
    if status["muted"]:
        return skip("muted: the microphone is closed")
    if not audio["ok"]:
        return fail(
            f"the daemon receives no sound from {audio['input']}: {audio['problem']}", "run `voxctl watch`"
        )
    return ok(f"the daemon receives sound from {audio['input']}")


async def _record_briefly(config: Config) -> CheckResult:
    ring = Ring.create(config.audio.channels, config.audio.ring_s, config.audio.channel)
    microphone = Microphone(config.audio, ring, SystemClock(), discard_event)
    try:
        await microphone.start()
        if microphone.virtual:
            return skip("this machine has no microphone")
        if not microphone.ok:
            return fail(microphone.problem, DeviceError.hint)
        # A tenth of a second: enough for a level, and there as soon as the microphone is open.
        count = min(ring.head, SAMPLE_RATE_HZ // 10)
        level = dbfs(ring.read(ring.head - count, count, config.audio.channel).pcm)
        return ok(f"{microphone.device}: {level:.0f} dBFS")
    finally:
        await microphone.close()
        ring.close()


def stt_engine(context: DoctorContext) -> CheckResult:
    """Which engine transcribes a sentence, and how long that takes."""
    return asyncio.run(_recognise(context))


def tts_engine(context: DoctorContext) -> CheckResult:
    """Which engine synthesizes speech, and the time to its first sound."""
    return asyncio.run(_speak(context))


async def _recognise(context: DoctorContext) -> CheckResult:
    config, models, clock = context.config, models_dir(context.config, context.environ), SystemClock()
    chain = build_transcriber(
        config.stt, models_dir=models, grammar=_GRAMMAR, emit=discard_event, clock=clock
    )
    try:
        # The device's own voice is the speaker: the check needs no microphone and no user.
        clip, _ = await _synthesize_sentence(context)
        started = time.monotonic()
        transcript = await chain.transcribe(to_rate(clip, SAMPLE_RATE_HZ))
        elapsed_s = time.monotonic() - started
    finally:
        await chain.close()
    # This text is a fixed sentence, not the user's: it may be printed.
    detail = f'{transcript.engine} transcribed "{_SENTENCE}" as "{transcript.text}" in {elapsed_s:.1f} s'
    return _engine_finding(chain.status(), config.stt.engine, detail)


async def _speak(context: DoctorContext) -> CheckResult:
    chain_status: list[EngineStatus] = []
    # A callback: the status must be read before the chain is closed.
    clip, first_s = await _synthesize_sentence(context, chain_status.append)
    (status,) = chain_status
    detail = (
        f"{status.active} synthesized {clip.duration_s:.1f} s of sound, first after {first_s * 1000:.0f} ms"
    )
    return _engine_finding(status, context.config.tts.engine, detail)


async def _synthesize_sentence(
    context: DoctorContext, report: Callable[[EngineStatus], None] = lambda _: None
) -> tuple[Clip, float]:
    """Return the sentence as sound, and the seconds to its first sample."""
    models = models_dir(context.config, context.environ)
    chain = build_synthesizer(context.config.tts, models_dir=models, emit=discard_event, clock=SystemClock())
    started = time.monotonic()
    first_s = 0.0
    clips: list[Clip] = []
    try:
        async for clip in chain.synthesize(_SENTENCE):
            first_s = first_s or time.monotonic() - started
            clips.append(clip)
        report(chain.status())
    finally:
        await chain.close()
    return Clip(b"".join(clip.pcm for clip in clips), clips[0].rate_hz), first_s


def _engine_finding(status: EngineStatus, wanted: str, detail: str) -> CheckResult:
    if wanted not in {"auto", status.active}:
        return warn(f"{detail}; not {wanted}: {status.problem}", "run `voxctl models list`")
    return ok(detail)


def wake_loads(context: DoctorContext) -> CheckResult:
    """Whether the wake words load, and their CPU time."""
    words = msgspec.to_builtins(context.config.wake.words)
    return _probe("wake", {"words": words, "models": str(models_dir(context.config, context.environ))})


def vad_loads(_: DoctorContext) -> CheckResult:
    """Whether the voice activity detector loads, and its CPU time."""
    return _probe("vad", {})


def gpio_factory(context: DoctorContext) -> CheckResult:
    """Which library drives the GPIO pins; a missing one is an error only when pins are configured."""
    model = context.root / "proc/device-tree/model"
    is_pi = model.exists() and "Raspberry Pi" in model.read_text(errors="replace")
    wired = context.config.leds.kind != "none" or context.config.button.pin is not None
    if not is_pi and not wired and not list(context.root.glob("dev/gpiochip*")):
        return skip("this machine has no GPIO, and nothing is configured to use it")
    # In a process of its own too: gpiozero keeps the pin factory, and with it the chip, until its process
    # ends.
    found = _probe("gpio", {})
    if found.status is Status.FAIL and not wired:
        return warn(found.detail, f"no action is needed while nothing is wired; otherwise {found.hint}")
    return found


def _probe(name: str, request: dict[str, Any]) -> CheckResult:
    """Run one probe in its own process: an engine may crash it."""
    command = [sys.executable, "-P", "-m", "voxd.cli.doctor.probe", name]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            cwd=Path.cwd(),
        )
    except subprocess.TimeoutExpired:
        return fail(f"no answer after {_PROBE_TIMEOUT_S:g} s", "check `dmesg`, and free memory")
    # A negative code is a signal: native code crashed, for example by an instruction this processor lacks.
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = ": ".join([explain_exit(done.returncode), *last])
        return fail(reason, "reinstall the engine: its wheel may be for another processor")
    # The last line: a library may print to standard output while it loads.
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=CheckResult)
