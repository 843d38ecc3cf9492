"""Resolves the device index or name of the configuration to a stable device name."""

from typing import Literal

from voxd.audio.devices import enumerate_devices
from voxd.errors import DeviceError

AUTO = "auto"
_FILE_PREFIX = "virtual:"


async def stable_name(device: int | str | None, direction: Literal["input", "output"]) -> str:
    """Return the name of ``device`` for `voxd.audio`; None is the default device, else the virtual one.

    An index is PortAudio's at this moment. Raises `DeviceError` for an index that does not exist.
    """
    if device is None:
        return AUTO
    if isinstance(device, str):
        return device
    # PortAudio numbers devices anew in each process and after each change: the name is what lasts.
    for found in await enumerate_devices():
        if found.number == device and (found.inputs if direction == "input" else found.outputs):
            return found.name
    raise DeviceError(
        f"{direction} device {device} does not exist",
        hint="use a number or name that `voxctl devices` shows",
        code="device_missing",
    )


def recording_of(name: str) -> str:
    """Return the WAV file that a "virtual:FILE.wav" input plays, "" for any other name."""
    return name.removeprefix(_FILE_PREFIX) if name.startswith(_FILE_PREFIX) else ""
