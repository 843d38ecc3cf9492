"""The command line of the daemon: configuration, signals, systemd, and an exit code of sysexits.h."""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from voxd import __version__
from voxd.audio.files import read_sound
from voxd.cli.exits import USAGE
from voxd.cli.output import adapt_hint, prepare_streams
from voxd.cli.screen import Screen, print_line
from voxd.config.files.access import reason_not_readable
from voxd.config.loading import Loaded, load
from voxd.config.paths import models_dir, read_socket_path, socket_path, state_dir
from voxd.config.schema import Config
from voxd.control.sockets import ListeningSocket, bind, inherited
from voxd.daemon import Daemon
from voxd.errors import DeviceError, VoxdError
from voxd.events import Event
from voxd.observe.log import start_logging
from voxd.observe.memory import limit_arenas, release_free_memory
from voxd.observe.notify import Notifier, listen_sockets, watchdog_interval_s
from voxd.observe.watchdog import Watchdog
from voxd.providers.facts import config_facts
from voxd.tasks import TaskScope
from voxd.turn.inputs import State

OK = 0
NO_WAKE_WORD = 1
# By error code, as sysexits.h numbers them; any other error is `INTERNAL`.
EXIT_CODES = {
    "config_invalid": 78,
    "not_permitted": 77,
    "already_running": 69,
    "invalid_request": 65,
    "no_input": 66,
}

INTERNAL = 70

# The exit code of `--once` by the outcome of its turn; any other outcome is `INTERNAL`.
ONCE_CODES = {"answered": OK, "no_speech": EXIT_CODES["invalid_request"]}

# How long after the end of a recording a wake word may still be confirmed.
ONCE_GRACE_S = 2.0

# A stop takes 0.2 s, and 2 s when a part hangs. After this limit the event loop itself hangs.
STOP_LIMIT_S = 5.0

# Prefixes of the events that may change systemd's STATUS line.
SHOWN_IN_STATUS = ("state.", "audio.", "output.", "engine.", "mute.", "provider.", "timer.", "problem.")


class _Parser(argparse.ArgumentParser):
    """A parser that exits with the code of sysexits.h (64), not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Print how voxd is used, and exit with 64."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


_log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = _Parser(prog="voxd", description="The voice appliance daemon.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key of the file"
    )
    parser.add_argument("--show", action="store_true", help="show each turn on the terminal")
    parser.add_argument(
        "--once",
        type=Path,
        metavar="FILE",
        help="answer this recording and exit 0; exit 1 if it has no wake word",
    )
    version = f"voxd {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    return parser


class Service:
    """One run of the daemon: signals, systemd and the end."""

    def __init__(self, args: argparse.Namespace, loaded: Loaded) -> None:
        self._args = args
        self._config = loaded.config
        self._notifier = Notifier()
        self._started = asyncio.Event()
        self._tasks = TaskScope("voxd")
        self._exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Serve; return the exit code. Raises `VoxdError` when it cannot start."""
        with contextlib.ExitStack() as stack:
            # A single answer serves no socket, so that it can run beside the daemon.
            listeners = [] if self._args.once else _listeners(self._config, stack)
            return await self._serve(listeners)

    async def _serve(self, listeners: Sequence[ListeningSocket]) -> int:
        # `heed_mute`: a recording must be answered although the device was muted when it was last used.
        self._daemon = daemon = Daemon(
            self._config,
            self._read,
            state_dir=state_dir(self._config),
            models_dir=models_dir(self._config),
            heed_mute=not self._args.once,
        )
        if self._args.show:
            daemon.bus.handle(
                Screen(print_line, colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
            )
        daemon.bus.handle(self._follow)
        self._handle_signals()
        try:
            await daemon.start(listeners)
            self._started.set()
            self._notifier.ready(daemon.appliance.summary())
            # What exists now lives as long as the process, so the collector may skip it from here on.
            # gc.freeze (Python documentation, gc): without it each full collection walks all modules.
            gc.collect()
            gc.freeze()
            release_free_memory()
            if not self._args.once:
                self._tasks.start(daemon.say_problems())
            self._tasks.start(self._watch(), is_awaited=True).add_done_callback(self._end_if_failed)
            return await self._exit_code
        finally:
            self._notifier.stopping()
            # Below TimeoutStopSec of voxd.service: systemd's SIGKILL would leave no line in the log.
            with _limited(STOP_LIMIT_S):
                await self._tasks.close()
                await daemon.stop()

    def _read(self) -> Config:
        return load(
            self._args.config, get_facts=config_facts, environ=os.environ, overrides=_overrides(self._args)
        ).config

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._terminate)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _terminate(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            # A second signal means that the user will not wait: the kernel then ends the process at once.
            signal.signal(number, signal.SIG_DFL)
        self._end(OK)

    def _end(self, code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(code)

    def _hang_up(self) -> None:
        self._tasks.start(self._reload())

    async def _reload(self) -> None:
        # A reload ends with READY=1, which must not be sent before the start is complete.
        await self._started.wait()
        self._notifier.reloading(self._daemon.clock.monotonic())
        try:
            await self._daemon.appliance.reload()
        except VoxdError as error:
            self._daemon.bus.emit("error", code=error.code, message=str(error), hint=error.hint)
        finally:
            # sd_notify(3): after RELOADING=1 systemd waits for READY=1, also when the reload failed.
            self._notifier.ready(self._daemon.appliance.summary())

    def _follow(self, event: Event) -> None:
        if event.type.startswith(SHOWN_IN_STATUS):
            self._notifier.status(self._daemon.appliance.summary())
        if not self._args.once or self._exit_code.done():
            return
        # What interrupts a turn is the next one of the same recording: that one decides.
        if event.type == "turn.ended" and event.data["outcome"] != "interrupted":
            self._end(ONCE_CODES.get(event.data["outcome"], INTERNAL))
        # A turn under way ends by itself, also without the recording: its answer is heard to its end.
        if event.type == "audio.lost" and self._daemon.runner.turn is None:
            self._exit_code.set_exception(
                DeviceError(f"cannot play {self._args.once} as input", hint=event.data["hint"])
            )

    def _end_if_failed(self, watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and (error := watching.exception()) and not self._exit_code.done():
            self._exit_code.set_exception(error)

    async def _watch(self) -> None:
        """Feed the watchdog; with `--once`, end the process when the recording had no wake word."""
        daemon = self._daemon
        async with asyncio.TaskGroup() as group:
            if interval_s := watchdog_interval_s():
                watchdog = Watchdog(
                    daemon.heartbeats(), notifier=self._notifier, interval_s=interval_s, clock=daemon.clock
                )
                group.create_task(watchdog.run())
            while self._args.once:
                await daemon.clock.sleep(0.2)
                # The recording is over and no turn runs. A word at its very end is confirmed a little later.
                if daemon.ring.ended and daemon.runner.machine.state is State.IDLE:
                    await daemon.clock.sleep(ONCE_GRACE_S)
                    if daemon.runner.machine.state is State.IDLE:
                        print_line("no wake word was detected")
                        self._end(NO_WAKE_WORD)


def _listeners(config: Config, stack: contextlib.ExitStack) -> list[ListeningSocket]:
    """Return the sockets to serve; ``stack`` closes them, also when the second cannot be bound."""
    listeners: Iterable[ListeningSocket] = inherited(listen_sockets()) or _bound(config)
    return [stack.enter_context(contextlib.closing(listener)) for listener in listeners]


def _bound(config: Config) -> Iterator[ListeningSocket]:
    yield bind(socket_path(config), "control")
    yield bind(read_socket_path(config), "read")


@contextlib.contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    """End the process if what runs inside takes longer, even if the event loop itself hangs."""
    # A thread: a timer of the event loop would hang with it.
    timer = threading.Timer(limit_s, _give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up() -> None:
    _log.critical("the daemon hangs while it stops: the process is killed")
    logging.shutdown()
    # Not sys.exit: it raises in this thread only, and the interpreter would join threads that hang.
    os._exit(INTERNAL)


def _overrides(args: argparse.Namespace) -> Sequence[str]:
    if not args.once:
        return tuple(args.set)
    virtual = ('audio.input="virtual"', 'audio.output="virtual"')
    # A JSON string is a TOML basic string too (toml.io, 1.0.0): a file's name may hold quotes.
    return (*args.set, *virtual, f"audio.virtual_input={json.dumps(str(args.once), ensure_ascii=False)}")


def run(args: argparse.Namespace) -> int:
    """Read the configuration and serve; returns the exit code."""
    if args.once:
        if reason := reason_not_readable(args.once):
            raise VoxdError(f"{args.once} {reason}", hint="name a sound file", code="no_input")
        # Read here only to refuse it before anything starts; the capture process reads it again.
        read_sound(args.once)
    loaded = load(args.config, get_facts=config_facts, environ=os.environ, overrides=_overrides(args))
    # The screen shows the turns, so the log needs only warnings.
    level = "warning" if args.show and loaded.config.log.level == "info" else loaded.config.log.level
    handler = start_logging(level)
    for problem in loaded.warnings:
        _log.warning("%s", problem)

    async def serve() -> int:
        # Built here: `Service` needs the running loop.
        return await Service(args, loaded).run()

    try:
        return asyncio.run(serve())
    finally:
        handler.close()


def main() -> int:
    """Entry point of ``voxd``."""
    # Before anything imports onnxruntime: from 1.29 on it sends telemetry unless this is set.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Before the first thread: glibc gives each thread an arena of its own, whose free memory stays with it.
    limit_arenas()
    prepare_streams()
    try:
        return run(parser().parse_args())
    except VoxdError as error:
        print(f"voxd: {error}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"  {adapt_hint(error.hint)}", file=sys.stderr)  # noqa: T201
        return EXIT_CODES.get(error.code, INTERNAL)
    except OSError as error:
        # A file or directory that the daemon needs: which one, and why, is all that helps; no traceback.
        print(f"voxd: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        print("  run `voxctl doctor`", file=sys.stderr)  # noqa: T201
        return EXIT_CODES["not_permitted"] if isinstance(error, PermissionError) else INTERNAL
