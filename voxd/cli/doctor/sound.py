"""The check of microphone quality: the daemon's last utterance, or two recorded seconds."""

import asyncio

from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.sound import FLOOR_DBFS
from voxd.cli.doctor.check import CheckResult, DoctorContext, call_daemon, discard_event, ok, skip, warn
from voxd.clock import SystemClock
from voxd.config.schema import Config
from voxd.frames import samples_from_s
from voxd.listen.quality import Quality, find_problems, measure

# Long enough for the noise floor between two words, short enough for `voxctl doctor` to wait.
RECORDED_S = 2.0

# The metrics of `voxd.observe.metrics` about the last utterance.
_GAUGES = "voxd_utterance_"


def input_quality(context: DoctorContext) -> CheckResult:
    """Whether the signal is loud and clean enough; read from the daemon if it runs, as it uses the card."""
    if context.config.audio.input == "virtual":
        return skip("audio.input is virtual")
    # The daemon first: while it runs the card is in use, and its last utterance is the better sample.
    metrics = call_daemon(context, "metrics.get")
    if metrics is None:
        return asyncio.run(_record(context.config))
    quality = _last_utterance(metrics["text"])
    if quality is None:
        return skip("no speech since the daemon started: speak, then run `voxctl doctor` again")
    return _assess(quality, "the last utterance")


def _last_utterance(metrics: str) -> Quality | None:
    """Return the quality from the daemon's metrics, None before the first utterance."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        if line.startswith(_GAUGES):
            name, _, number = line.partition(" ")
            found[name.removeprefix(_GAUGES)] = float(number)
    level_dbfs, snr_db = found.get("level_dbfs"), found.get("snr_db")
    if level_dbfs is None:
        return None
    return Quality(
        level_dbfs=level_dbfs,
        peak_dbfs=found.get("peak_dbfs", level_dbfs),
        # The daemon exports no noise level: it follows from the other two, and is unknown in digital silence.
        noise_dbfs=FLOOR_DBFS if snr_db is None else level_dbfs - snr_db,
        clipped_percent=100 * found.get("clipped_ratio", 0.0),
        snr_db=snr_db,
        dropouts=int(found.get("dropouts_total", 0)),
    )


async def _record(config: Config) -> CheckResult:
    ring, clock = Ring.create(config.audio.channels, config.audio.ring_s, config.audio.channel), SystemClock()
    microphone = Microphone(config.audio, ring, clock, discard_event)
    try:
        await microphone.start()
        if microphone.virtual:
            return skip("this machine has no microphone")
        if not microphone.ok:
            return skip("no sound comes from the microphone")
        overruns = ring.overruns
        await clock.sleep(RECORDED_S)
        count = min(samples_from_s(RECORDED_S), ring.head - ring.tail)
        frame = ring.read(ring.head - count, count, config.audio.channel)
        return _assess(measure(frame.pcm, lost=ring.overruns - overruns), microphone.device)
    finally:
        await microphone.close()
        ring.close()


def _assess(quality: Quality, what: str) -> CheckResult:
    found = find_problems(quality)
    if found:
        # All problems, but the hint of the first: one change at a time, then another measurement.
        return warn(f"{what}: {', '.join(each for each, _ in found)}", found[0][1])
    snr = "" if quality.snr_db is None else f", {quality.snr_db:.0f} dB above the noise"
    return ok(f"{what}: {quality.level_dbfs:.0f} dBFS{snr}, no clipping, no dropouts")
