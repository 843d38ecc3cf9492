"""LED back ends over gpiozero: one LED, and one LED with three colours, both by pulse width."""

from collections.abc import Callable, Sequence
from typing import Any

from voxd.config import schema
from voxd.errors import DeviceError
from voxd.hardware.gpio import open_device
from voxd.hardware.patterns import Rgb


class SingleLed:
    """One LED on one GPIO line: it shows how bright the colour would be."""

    count = 1

    def __init__(self, config: schema.Leds) -> None:
        """Raises `DeviceError`."""
        self._led = _open(
            config, 1, lambda gpiozero: gpiozero.PWMLED(*config.pins, active_high=config.active_high)
        )

    def show(self, frame: Sequence[Rgb]) -> None:
        """Show the strongest part of the colour."""
        self._led.value = max(frame[0])

    def close(self) -> None:
        """Switch off and free the line."""
        self._led.close()


class RgbLed:
    """A red, a green and a blue LED on three GPIO lines."""

    count = 1

    def __init__(self, config: schema.Leds) -> None:
        """Raises `DeviceError`."""
        self._led = _open(
            config, 3, lambda gpiozero: gpiozero.RGBLED(*config.pins, active_high=config.active_high)
        )

    def show(self, frame: Sequence[Rgb]) -> None:
        """Show the colour."""
        self._led.color = frame[0]

    def close(self) -> None:
        """Switch off and free the lines."""
        self._led.close()


def _open(config: schema.Leds, lines: int, make: Callable[[Any], Any]) -> Any:
    if len(config.pins) != lines:
        raise DeviceError(
            f"{config.kind} needs {lines} pin(s), not {len(config.pins)}", hint="set pins in [leds]"
        )
    return open_device(make)
