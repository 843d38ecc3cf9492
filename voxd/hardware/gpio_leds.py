"""LED back ends over gpiozero: one LED, and one LED with three colours, both by pulse width."""

from collections.abc import Sequence
from typing import Any

from voxd.config import schema
from voxd.errors import DeviceError
from voxd.hardware.gpio import open_device
from voxd.hardware.patterns import Rgb


class _GpioLed:
    """An LED of gpiozero on ``lines`` GPIO lines."""

    count = 1

    def __init__(self, config: schema.Leds, lines: int, kind: str) -> None:
        if len(config.pins) != lines:
            raise DeviceError(
                f"{config.kind} needs {lines} pin(s), not {len(config.pins)}", hint="set pins in [leds]"
            )
        self._led: Any = open_device(
            # Pulse width: software PWM of the pin library, enough for LEDs, which need no exact timing.
            lambda gpiozero: getattr(gpiozero, kind)(*config.pins, active_high=config.active_high)
        )

    def close(self) -> None:
        """Switch off and free the lines."""
        self._led.close()


class SingleLed(_GpioLed):
    """One LED on one GPIO line: it shows how bright the colour would be."""

    def __init__(self, config: schema.Leds) -> None:
        """Raises `DeviceError`."""
        super().__init__(config, 1, "PWMLED")

    def show(self, frame: Sequence[Rgb]) -> None:
        """Show the strongest part of the colour."""
        self._led.value = max(frame[0])


class RgbLed(_GpioLed):
    """A red, a green and a blue LED on three GPIO lines."""

    def __init__(self, config: schema.Leds) -> None:
        """Raises `DeviceError`."""
        super().__init__(config, 3, "RGBLED")

    def show(self, frame: Sequence[Rgb]) -> None:
        """Show the colour."""
        self._led.color = frame[0]
