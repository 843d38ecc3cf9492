"""Listing devices without loading PortAudio into the daemon."""

import subprocess
import sys

from tests.audio.witness import children_of
from tests.rig.soundcard import SoundCard
from voxd.audio.device_names import FoundDevice
from voxd.audio.devices import describe_devices, list_devices


async def test_the_devices_of_the_machine_are_listed_by_name(card: SoundCard) -> None:
    devices = await list_devices()
    assert [(device.name, device.direction, device.is_default) for device in devices] == [
        ("default", "input", True),
        ("vmic", "input", False),
        ("vspeaker", "input", False),
        ("default", "output", True),
        ("vmic", "output", False),
        ("vspeaker", "output", False),
    ]
    assert children_of("voxd.audio.portaudio") == []


def test_a_device_with_one_direction_appears_once() -> None:
    found = [FoundDevice(0, "Mic", 4, 0, 16_000.0, True, False, "Mic (hw:1,0)")]
    assert [(device.name, device.direction, device.channels) for device in describe_devices(found)] == [
        ("Mic", "input", 4)
    ]


def test_the_daemons_side_never_loads_portaudio() -> None:
    code = (
        "import sys, voxd.audio.devices, voxd.audio.microphone, voxd.audio.speaker\n"
        "sys.exit('pyaudio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
