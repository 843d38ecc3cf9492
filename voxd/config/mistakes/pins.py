"""GPIO lines as people write them, and what the header of a Raspberry Pi uses them for."""

import re
from collections.abc import Mapping
from types import MappingProxyType

# raspberrypi.com/documentation, "GPIO and the 40-pin header": GPIO 0 to 27 are on it.
LAST_LINE = 27
# The lines by the number of their pin on the header; the others are power and ground.
BY_HEADER_PIN: Mapping[int, int] = MappingProxyType(
    {
        3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
        21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19,
        36: 16, 37: 26, 38: 20, 40: 21,
    }
)  # fmt: skip
# pinout.xyz/pinout/wiringpi: the numbers of the library WiringPi.
_BY_WIRINGPI = (
    17, 18, 27, 22, 23, 24, 25, 4, 2, 3, 8, 7, 10, 9, 11, 14, 15, 28, 29, 30, 31, 5, 6, 13,
    19, 26, 12, 16, 20, 21, 0, 1,
)  # fmt: skip

_I2C, _SPI, _UART, _I2S = "I2C", "SPI", "the serial port (UART)", "I2S sound (most sound HATs)"
USES: Mapping[int, str] = MappingProxyType(
    {
        0: "the EEPROM of a HAT",
        1: "the EEPROM of a HAT",
        2: _I2C,
        3: _I2C,
        7: _SPI,
        8: _SPI,
        9: _SPI,
        10: _SPI,
    }
    | {11: _SPI, 14: _UART, 15: _UART, 18: _I2S, 19: _I2S, 20: _I2S, 21: _I2S}
)


def meant_line(text: str) -> int | None:
    """Return the GPIO line that ``text`` names: GPIO17, BCM 17, D17, BOARD11, J8:11, WPI0; None for none."""
    found = re.fullmatch(r"([a-z]*)(?:8(?=\D))?\D*?(\d{1,2})", text.strip().casefold())
    if found is None:
        return None
    name, number = found[1], int(found[2])
    if name in ("board", "pin", "j", "phys", "physical", "header"):
        return BY_HEADER_PIN.get(number)
    if name in ("wpi", "wiringpi"):
        return _BY_WIRINGPI[number] if number < len(_BY_WIRINGPI) else None
    return number if name in ("", "gpio", "bcm", "d", "io", "p", "line") and number <= LAST_LINE else None


def hint_for(line: int, key: str) -> str:
    """Return what to write in place of ``line``, which is not on the header."""
    if (meant := BY_HEADER_PIN.get(line)) is not None:
        return f"pin {line} of the header is GPIO {meant}: {key} = {meant}"
    return f"use a line from 4 to {LAST_LINE}"
