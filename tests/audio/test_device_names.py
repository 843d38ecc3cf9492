"""Stable names, and which device a name means."""

import pytest

from voxd.audio.device_names import card_number, resolve, stable_names
from voxd.errors import DeviceError

DEVICES = ["ReSpeaker 4 Mic Array: USB Audio", "USB PnP Sound Device: Audio", "sysdefault", "default"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("default", "default"),
        ("ReSpeaker 4 Mic Array: USB Audio", DEVICES[0]),
        ("respeaker", DEVICES[0]),
        ("SYSDEFAULT", "sysdefault"),
        ("pnp sound", DEVICES[1]),
    ],
)
def test_a_name_means_the_one_device_it_fits(name: str, meant: str) -> None:
    assert resolve(name, DEVICES) == meant


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("usb", "device_ambiguous", "whole name"),
        ("sysdefalt", "device_missing", "did you mean 'sysdefault'"),
        ("Jabra", "device_missing", "voxctl devices"),
    ],
)
def test_what_fits_none_or_many_is_refused_with_a_hint(name: str, code: str, hint: str) -> None:
    with pytest.raises(DeviceError) as caught:
        resolve(name, DEVICES)
    assert caught.value.code == code
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("raw", "ids", "stable"),
    [
        (["ReSpeaker: USB Audio (hw:1,0)"], {1: "Array"}, ["ReSpeaker: USB Audio"]),
        (["Loopback: PCM (hw:0,0)", "Loopback: PCM (hw:0,1)"], {}, ["Loopback: PCM", "Loopback: PCM #2"]),
        (
            ["Mic: USB (hw:1,0)", "Mic: USB (hw:2,0)"],
            {1: "Device", 2: "Device_1"},
            ["Mic: USB [Device]", "Mic: USB [Device_1]"],
        ),
        (["USB Device: - (hw:3,0)", "default"], {}, ["USB Device", "default"]),
    ],
)
def test_names_do_not_change_with_the_card_number(
    raw: list[str], ids: dict[int, str], stable: list[str]
) -> None:
    assert stable_names(raw, ids) == stable


def test_a_replugged_card_keeps_its_name() -> None:
    before = stable_names(["HDA: PCH (hw:0,0)", "Mic: USB (hw:1,0)"], {0: "PCH", 1: "Device"})
    after = stable_names(["HDA: PCH (hw:0,0)", "Mic: USB (hw:4,0)"], {0: "PCH", 4: "Device"})
    assert before == after


@pytest.mark.parametrize(("raw", "number"), [("Mic (hw:12,0)", 12), ("default", None), ("hw:1", None)])
def test_only_hardware_names_have_a_card_number(raw: str, number: int | None) -> None:
    assert card_number(raw) == number
