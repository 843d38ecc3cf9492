"""The one module that imports PyAudio; only the audio programs import it, never the daemon.

Run as a program it reports the list of devices (see `voxd.audio.devices`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyaudio

from voxd.audio import child_process
from voxd.audio.device_names import DEFAULT, FoundDevice, resolve, stable_names
from voxd.errors import DeviceError

Direction = Literal["input", "output"]
Callback = Callable[[bytes | None, int, object, int], tuple[bytes | None, int]]

CONTINUE = pyaudio.paContinue
INPUT_OVERFLOW = pyaudio.paInputOverflow
# PaErrorCode in portaudio.h: paInvalidSampleRate and paDeviceUnavailable.
_INVALID_RATE = -9997
_UNAVAILABLE = -9985


class PortAudio:
    """PortAudio with the devices it found at its initialisation; one per process."""

    def __init__(self) -> None:
        self._pyaudio = pyaudio.PyAudio()
        self.found = self._enumerate()

    def find(self, name: str, direction: Direction) -> FoundDevice:
        """Return the device called ``name`` for ``direction``; "default" and "auto" mean the default device.

        Raises `DeviceError`, with the code ``no_device`` when the machine has no default device.
        """
        usable = [found for found in self.found if (found.inputs if direction == "input" else found.outputs)]
        if name in (DEFAULT, "auto"):
            for found in usable:
                if found.default_input if direction == "input" else found.default_output:
                    return found
            raise DeviceError(f"this machine does not have an {direction} device", code="no_device")
        resolved = resolve(name, [found.name for found in usable])
        return next(found for found in usable if found.name == resolved)

    def open(
        self,
        found: FoundDevice,
        direction: Direction,
        *,
        rate_hz: int,
        channels: int,
        block: int,
        callback: Callback,
    ) -> Any:
        """Open and start a 16-bit callback stream. Raises `DeviceError`; code ``rate`` for a wrong rate."""
        sides = (
            {"input": True, "input_device_index": found.number}
            if direction == "input"
            else {"output": True, "output_device_index": found.number}
        )
        try:
            return self._pyaudio.open(
                format=pyaudio.paInt16,
                channels=channels,
                rate=rate_hz,
                frames_per_buffer=block,
                stream_callback=callback,
                **sides,
            )
        except (OSError, ValueError) as error:
            code = {_INVALID_RATE: "rate", _UNAVAILABLE: "device_busy"}.get(error.args[0], "")
            hint = "find the program that uses it with `fuser -v /dev/snd/*`" if code == "device_busy" else ""
            raise DeviceError(f"cannot open {found.name!r}: {error}", hint=hint, code=code) from error

    def _enumerate(self) -> list[FoundDevice]:
        count = self._pyaudio.get_device_count()
        infos = [self._pyaudio.get_device_info_by_index(index) for index in range(count)]
        card_ids = {
            int(path.parent.name.removeprefix("card")): path.read_text(encoding="ascii").strip()
            for path in Path("/proc/asound").glob("card[0-9]*/id")
        }
        names = stable_names([str(info["name"]) for info in infos], card_ids)
        default_input = _default(self._pyaudio.get_default_input_device_info)
        default_output = _default(self._pyaudio.get_default_output_device_info)
        return [
            FoundDevice(
                number=index,
                name=name,
                inputs=int(info["maxInputChannels"]),
                outputs=int(info["maxOutputChannels"]),
                rate_hz=float(info["defaultSampleRate"]),
                default_input=index == default_input,
                default_output=index == default_output,
                raw_name=str(info["name"]),
            )
            for index, (name, info) in enumerate(zip(names, infos, strict=True))
        ]


def _default(query: Callable[[], Any]) -> int | None:
    try:
        return int(query()["index"])
    except OSError:
        return None


def main() -> None:
    """List the devices as one report."""
    child_process.begin()
    child_process.report(devices=[found._asdict() for found in PortAudio().found])


if __name__ == "__main__":
    main()
