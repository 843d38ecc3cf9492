"""Lists the sound devices through a short-lived process, so that the daemon never loads PortAudio."""

from voxd.audio.device_names import FoundDevice
from voxd.audio.process import AudioProcess
from voxd.reports import Device

_TIMEOUT_S = 5.0
_LIMIT_DEVICES = 256


async def enumerate_devices() -> list[FoundDevice]:
    """Return what PortAudio lists now, in its order. Raises `DeviceError` when it cannot be loaded."""
    # PortAudio enumerates the cards only while it initialises, so only a new process sees a new card.
    child = await AudioProcess.spawn("voxd.audio.portaudio", {})
    try:
        report = await child.report(_TIMEOUT_S)
    finally:
        await child.kill()
    # A bound, because the list comes from another process and goes into a reply.
    return [FoundDevice(**fields) for fields in report["devices"][:_LIMIT_DEVICES]]


async def list_devices() -> list[Device]:
    """Return the capture and playback devices of the machine, the default ones first.

    A device that does both appears twice. Raises `DeviceError` when PortAudio cannot be loaded.
    """
    return describe_devices(await enumerate_devices())


def describe_devices(found: list[FoundDevice]) -> list[Device]:
    """Return ``found`` as the API shows it."""
    devices = [
        Device(item.name, direction, channels, item.rate_hz, is_default)
        for item in found
        for direction, channels, is_default in (
            ("input", item.inputs, item.default_input),
            ("output", item.outputs, item.default_output),
        )
        if channels
    ]
    return sorted(devices, key=lambda device: (device.direction, not device.is_default))
