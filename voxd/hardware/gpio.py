"""The only import of gpiozero: loaded when something is wired, its errors turned into `DeviceError`."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from voxd.errors import DeviceError, third_party

DeviceT = TypeVar("DeviceT")


def open_device(make: Callable[[Any], DeviceT]) -> DeviceT:
    """Return ``make(gpiozero)``. Raises `DeviceError`."""
    # gpiozero warns once per pin library that it cannot load before it gives up; the warnings become part of
    # the error's message instead of lines on stderr.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def failure_of(error: Exception) -> DeviceError:
            tried = [str(warning.message).removeprefix("Falling back from ") for warning in caught]
            reason = "; ".join([str(error) or type(error).__name__, *tried])
            return DeviceError(
                f"no GPIO: {reason}",
                hint="install python3-lgpio and join group gpio, or remove the pins from [leds] and [button]",
            )

        # lgpio, RPi.GPIO and pigpio each raise a base class of their own.
        with third_party(failure_of):
            import gpiozero

            return make(gpiozero)
