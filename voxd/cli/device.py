"""Commands for the state of the device: status, volume, microphone, devices, timers, metrics, version."""

import argparse
from argparse import Namespace
from typing import Any

from voxd import __version__
from voxd.cli.connect import connect, request
from voxd.cli.exits import OK, WrongArgument
from voxd.cli.output import clock, duration, print_json, print_note, print_result
from voxd.cli.table import print_fields, print_rows
from voxd.errors import DaemonUnreachable, NotFound, NotPermitted

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS = {tuple(range(7)): "every day", tuple(range(5)): "Mon to Fri"}


def register(subparsers: Any) -> None:
    """Add the commands."""
    status = subparsers.add_parser(
        "status", help="show the state of the device", examples=("voxctl status", "voxctl status --json")
    )
    status.set_defaults(run=show_status)
    mute = subparsers.add_parser("mute", help="close the microphone", examples=("voxctl mute",))
    mute.set_defaults(run=set_muted, muted=True)
    unmute = subparsers.add_parser("unmute", help="open the microphone", examples=("voxctl unmute",))
    unmute.set_defaults(run=set_muted, muted=False)
    volume = subparsers.add_parser(
        "volume",
        help="show or set the output volume",
        examples=("voxctl volume", "voxctl volume 40", "voxctl volume -10"),
    )
    volume.add_argument(
        "percent", nargs="?", type=_volume, metavar="N|+N|-N", help="0 to 100, or a change (default: show)"
    )
    volume.set_defaults(run=set_volume)
    devices = subparsers.add_parser(
        "devices", help="list microphones and loudspeakers", examples=("voxctl devices",)
    )
    devices.set_defaults(run=list_devices)
    timers = subparsers.add_parser(
        "timers",
        help="list or cancel timers, alarms and reminders",
        examples=("voxctl timers", "voxctl timers cancel 3"),
    )
    timers.set_defaults(run=list_timers)
    actions = timers.add_subparsers(title="actions", metavar="ACTION")
    cancel = actions.add_parser(
        "cancel",
        help="cancel or silence one",
        examples=("voxctl timers cancel 3", "voxctl timers cancel pizza"),
    )
    cancel.add_argument("id", metavar="TIMER", help="its number in the list, or its name")
    cancel.set_defaults(run=cancel_timer)
    metrics = subparsers.add_parser(
        "metrics", help="print the metrics in the Prometheus text format", examples=("voxctl metrics",)
    )
    metrics.set_defaults(run=print_metrics)
    version = subparsers.add_parser(
        "version", help="show the versions of voxctl and the daemon", examples=("voxctl version",)
    )
    version.set_defaults(run=show_version)


def show_status(args: Namespace) -> int:
    """``voxctl status``."""
    status = request(args, "system.status")
    # An older daemon does not say what rings.
    ringing = f", ringing: {' and '.join(status['ringing'])}" if status.get("ringing") else ""
    if args.json:
        print_json(status)
        return OK
    audio = status["audio"]
    # No level while the microphone is closed or lost.
    level = "" if audio["level_dbfs"] is None else f" ({audio['level_dbfs']:.0f} dBFS)"
    fields = {
        "state": status["state"],
        "up": duration(status["uptime_s"]),
        "microphone": "muted" if status["muted"] else f"{audio['input']}{level}",
        "loudspeaker": f"{audio['output']}, {status['volume_percent']} %",
        "wake words": ", ".join(status["wake_words"]) or "none",
        "agent": status["agent"],
    }
    for agent in status["agents"]:
        # One agent needs no name: most devices have the default one only.
        name = "answers" if len(status["agents"]) == 1 else f"answers for {agent['agent']}"
        instead = f" instead of {agent['provider']}" if agent["problem"] else ""
        fields[name] = f"{agent['answering']}{instead}"
    for engine in status["engines"]:
        instead = f" instead of {engine['configured']}" if engine["problem"] else ""
        fields[engine["kind"]] = f"{engine['active']}{instead}"
    fields |= {
        "leds": status["leds"],
        "button": status["button"],
        "timers": f"{status['timers']}{ringing}",
        "turns": str(status["turns"]),
    }
    if status["queued"]:
        fields["queue"] = f"{status['queued']} to be answered later, see `voxctl queue`"
    for number, problem in enumerate(status["problems"], 1):
        fields[f"problem {number}"] = problem
    print_fields(f"voxd {status['version']}: {status['summary']}", fields, args)
    return OK


def set_muted(args: Namespace) -> int:
    """``voxctl mute`` and ``voxctl unmute``."""
    state = request(args, "mute.set", muted=args.muted)
    if state["problem"]:
        print_note(f"a restart will open the microphone again: {state['problem']}")
    return print_result(args, state, "microphone off" if args.muted else "microphone on")


def _volume(word: str) -> tuple[bool, int]:
    # "-10" is a change and not an option: argparse takes it as a value, for no option looks like a number.
    digits = word.lstrip("+-").removesuffix("%")
    number = int(word.removesuffix("%")) if digits.isdecimal() else None
    relative = word[:1] in ("+", "-")
    if number is None or not (-100 if relative else 0) <= number <= 100:
        raise argparse.ArgumentTypeError(f"expected 0 to 100, or a change such as +10, not {word!r}")
    return relative, number


def set_volume(args: Namespace) -> int:
    """``voxctl volume``."""
    with connect(args) as caller:
        # One connection for both requests, so that a change is relative to the volume just read.
        percent = caller.call("volume.get")["percent"]
        if args.percent is not None:
            relative, number = args.percent
            target = min(100, max(0, percent + number)) if relative else number
            percent = caller.call("volume.set", percent=target)["percent"]
    return print_result(args, {"percent": percent}, f"{percent} %")


def list_devices(args: Namespace) -> int:
    """``voxctl devices``; without a daemon it lists the sound devices of this machine itself."""
    try:
        devices = request(args, "devices.list")
    except (DaemonUnreachable, NotPermitted):
        # Not permitted: a user outside the group voxd has the read-only socket, which lists no devices.
        # Imported here: asyncio and the sound library are not needed while a daemon answers.
        import asyncio

        import msgspec

        from voxd.audio import devices as sound

        devices = msgspec.to_builtins(asyncio.run(sound.list_devices()))
    if not devices and not args.json:
        print_note('no sound card found; audio.input = "virtual" does not need one')
        return OK
    rows = [
        (device["name"], device["direction"], device["channels"], f"{device['default_rate_hz']:g}",
         device["is_default"])
        for device in devices
    ]  # fmt: skip
    return print_rows(args, devices, ("name", "direction", "channels", "rate (Hz)", "default"), rows)


def list_timers(args: Namespace) -> int:
    """``voxctl timers``."""
    timers = request(args, "timers.list")
    rows = [
        (
            timer["id"],
            timer["kind"],
            timer["name"],
            "-" if timer.get("paused") else clock(timer["due_at"]),
            _due_words(timer),
            _repeat_words(timer.get("repeat")),
        )
        for timer in timers
    ]
    columns = ("id", "kind", "name", "due", "in", "repeats")
    return print_rows(args, timers, columns, rows, empty="no timers, alarms or reminders")


def _due_words(timer: dict[str, Any]) -> str:
    if timer["ringing"]:
        return "ringing"
    if timer["due_in_s"] < 0:
        # It has rung; the disk could not forget it yet.
        return "over"
    left = duration(timer["due_in_s"])
    return f"paused, {left} left" if timer.get("paused") else left


def _repeat_words(repeat: dict[str, Any] | None) -> str:
    if repeat is None:
        return ""
    if repeat["interval_s"]:
        return f"every {duration(repeat['interval_s'])}"
    if repeat["month_day"]:
        return f"every month on day {repeat['month_day']}"
    weekdays = tuple(repeat["weekdays"])
    days = _DAYS.get(weekdays) or " ".join(_WEEKDAYS[day] for day in weekdays)
    return days if repeat["every_weeks"] == 1 else f"{days}, every {repeat['every_weeks']} weeks"


def cancel_timer(args: Namespace) -> int:
    """``voxctl timers cancel``."""
    with connect(args) as caller:
        id = int(args.id) if args.id.isdecimal() else _find_timer(caller.call("timers.list"), args.id)
        caller.call("timers.cancel", id=id)
    return print_result(args, {"cancelled": id}, f"cancelled {id}")


def _find_timer(timers: list[dict[str, Any]], name: str) -> int:
    """Return the number of the only timer called ``name``. Raises `NotFound` and `WrongArgument`."""
    found = [timer["id"] for timer in timers if timer["name"].casefold() == name.casefold()]
    if not found:
        raise NotFound(f"no timer is called {name}", hint="run `voxctl timers`")
    if len(found) > 1:
        numbers = ", ".join(map(str, found))
        raise WrongArgument(f"several are called {name}", hint=f"give a number: {numbers}")
    return int(found[0])


def print_metrics(args: Namespace) -> int:
    """``voxctl metrics``."""
    result = request(args, "metrics.get")
    if args.json:
        print_json(result)
    else:
        print(result["text"], end="")
    return OK


def show_version(args: Namespace) -> int:
    """``voxctl version``; without a daemon only the version of voxctl."""
    try:
        daemon = request(args, "system.info")["version"]
    except DaemonUnreachable:
        daemon = None
    text = f"voxctl {__version__}\nvoxd   {daemon or 'not running'}"
    return print_result(args, {"voxctl": __version__, "voxd": daemon}, text)
