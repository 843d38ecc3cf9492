"""The command line of the daemon: configuration in, signals and systemd obeyed, a sysexits.h code out."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from voxd import __version__
from voxd.audio.wav import read_wav
from voxd.cli.exits import USAGE
from voxd.cli.screen import Screen
from voxd.config.loading import Loaded, load
from voxd.config.paths import models_dir, read_socket_path, socket_path, state_dir
from voxd.config.schema import Config
from voxd.control.sockets import Listener, bind, inherited
from voxd.daemon import Daemon
from voxd.device.heartbeat import signs_of_life
from voxd.errors import DeviceError, VoxdError
from voxd.events import Event
from voxd.observe.log import start_logging
from voxd.observe.memory import limit_arenas, release_free_memory
from voxd.observe.notify import Notifier, listen_sockets, watchdog_interval_s
from voxd.observe.watchdog import Watchdog
from voxd.providers.facts import config_facts
from voxd.turn.inputs import State

OK = 0
NO_WAKE_WORD = 1
EXIT_CODES = {
    "config_invalid": 78,
    "not_permitted": 77,
    "already_running": 69,
    "invalid_request": 65,
    "no_input": 66,
}
"""sysexits.h; any other error is `INTERNAL`."""

INTERNAL = 70

ONCE_CODES = {"answered": OK, "no_speech": EXIT_CODES["invalid_request"]}
"""How `--once` ends by how its turn ended; anything else is an error."""

ONCE_GRACE_S = 2.0
"""How long after the end of a recording a wake word may still be confirmed."""

STOP_LIMIT_S = 5.0
"""A stop takes 0.2 s, 2 s when a part hangs; a process that is still there hangs as a whole."""

SHOWN_IN_STATUS = ("state.", "audio.", "output.", "engine.", "mute.", "provider.")
"""Events after which systemd's STATUS line may read differently."""


class _Parser(argparse.ArgumentParser):
    """A parser that exits as sysexits.h says."""

    def error(self, message: str) -> NoReturn:
        """Print how voxd is used, and exit with 64."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


_log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = _Parser(prog="voxd", description="The voice appliance daemon.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="voxd.toml to read")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key of the file"
    )
    parser.add_argument("--show", action="store_true", help="show each turn on the terminal")
    parser.add_argument(
        "--once",
        type=Path,
        metavar="FILE.wav",
        help="hear this recording, answer, exit 0; exit 1 if no wake word was in it",
    )
    parser.add_argument("--version", action="version", version=f"voxd {__version__}")
    return parser


class Service:
    """One run of the daemon: signals, systemd and the end."""

    def __init__(self, args: argparse.Namespace, loaded: Loaded) -> None:
        self._args = args
        self._config = loaded.config
        self._notifier = Notifier()
        self._started = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> int:
        """Serve; return the exit code. Raises `VoxdError` when it cannot start."""
        with contextlib.ExitStack() as stack:
            listeners = [] if self._args.once else _listeners(self._config, stack)
            return await self._serve(listeners)

    async def _serve(self, listeners: Sequence[Listener]) -> int:
        self._daemon = daemon = Daemon(
            self._config,
            self._read,
            state_dir=state_dir(self._config),
            models_dir=models_dir(self._config),
            heed_mute=not self._args.once,
        )
        if self._args.show:
            daemon.bus.handle(Screen(_print, colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
        daemon.bus.handle(self._follow)
        self._handle_signals()
        watching: asyncio.Task[None] | None = None
        try:
            await daemon.start(listeners)
            self._started.set()
            self._notifier.ready(daemon.appliance.summary())
            # What exists now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            release_free_memory()
            watching = asyncio.create_task(self._watch())
            watching.add_done_callback(self._watched)
            return await self._exit_code
        finally:
            self._notifier.stopping()
            for task in (watching, self._reloading):
                if task:
                    task.cancel()
            with _limited(STOP_LIMIT_S):
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
            # Whoever asks again does not want to wait: the kernel ends the process, busy as it may be.
            signal.signal(number, signal.SIG_DFL)
        self._end(OK)

    def _end(self, code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(code)

    def _hang_up(self) -> None:
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        # A reload ends with READY, which must not be said before it is true.
        await self._started.wait()
        self._notifier.reloading(self._daemon.clock.monotonic())
        try:
            await self._daemon.appliance.reload()
        except VoxdError as error:
            self._daemon.bus.emit("error", code=error.code, message=str(error), hint=error.hint)
        finally:
            # Until it hears this, systemd takes the reload to be under way.
            self._notifier.ready(self._daemon.appliance.summary())

    def _follow(self, event: Event) -> None:
        if event.type.startswith(SHOWN_IN_STATUS):
            self._notifier.status(self._daemon.appliance.summary())
        if self._args.once and event.type == "turn.ended":
            self._end(ONCE_CODES.get(event.data["outcome"], INTERNAL))
        if self._args.once and event.type == "audio.lost" and not self._exit_code.done():
            self._exit_code.set_exception(
                DeviceError(f"{self._args.once} cannot be heard", hint=event.data["hint"])
            )

    def _watched(self, watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and (error := watching.exception()) and not self._exit_code.done():
            self._exit_code.set_exception(error)

    async def _watch(self) -> None:
        """Feed the watchdog; with `--once`, notice that the recording went by unanswered."""
        daemon = self._daemon
        async with asyncio.TaskGroup() as group:
            if interval_s := watchdog_interval_s():
                signs = signs_of_life(daemon.clock, daemon.ring, daemon.microphone, daemon.speech_input)
                dog = Watchdog(signs, dog=self._notifier, interval_s=interval_s, clock=daemon.clock)
                group.create_task(dog.run())
            while self._args.once:
                await daemon.clock.sleep(0.2)
                if daemon.ring.ended and daemon.runner.machine.state is State.IDLE:
                    await daemon.clock.sleep(ONCE_GRACE_S)
                    if daemon.runner.machine.state is State.IDLE:
                        _print("no wake word was heard")
                        self._end(NO_WAKE_WORD)


def _listeners(config: Config, stack: contextlib.ExitStack) -> list[Listener]:
    """Return the sockets to serve, which ``stack`` closes: the second may fail after the first is bound."""
    listeners: Iterable[Listener] = inherited(listen_sockets()) or _bound(config)
    return [stack.enter_context(contextlib.closing(listener)) for listener in listeners]


def _bound(config: Config) -> Iterator[Listener]:
    yield bind(socket_path(config), "control")
    yield bind(read_socket_path(config), "read")


@contextlib.contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    """End the process if what runs inside takes longer, even if the event loop itself hangs."""
    timer = threading.Timer(limit_s, _give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up() -> None:
    _log.critical("the daemon hangs while it stops and is ended as it is")
    logging.shutdown()
    os._exit(INTERNAL)


def _overrides(args: argparse.Namespace) -> Sequence[str]:
    if not args.once:
        return tuple(args.set)
    virtual = ('audio.input="virtual"', 'audio.output="virtual"')
    return (*args.set, *virtual, f'audio.virtual_input="{args.once}"')


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the screen of a foreground daemon


def run(args: argparse.Namespace) -> int:
    """Read the configuration and serve; returns the exit code."""
    if args.once:
        if not args.once.is_file():
            why = "is a directory" if args.once.is_dir() else "does not exist"
            raise VoxdError(f"{args.once} {why}", hint="name a WAV file", code="no_input")
        read_wav(args.once)
    loaded = load(args.config, get_facts=config_facts, environ=os.environ, overrides=_overrides(args))
    # The screen tells the turns; beside it the log is for trouble only.
    level = "warning" if args.show and loaded.config.log.level == "info" else loaded.config.log.level
    handler = start_logging(level)
    try:
        return asyncio.run(_serve(args, loaded))
    finally:
        handler.close()


async def _serve(args: argparse.Namespace, loaded: Loaded) -> int:
    return await Service(args, loaded).run()


def main() -> int:
    """Entry point of ``voxd``."""
    # Before anything can import onnxruntime: from 1.29 on it reports to its vendor unless told not to.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    limit_arenas()
    try:
        return run(parser().parse_args())
    except VoxdError as error:
        print(f"voxd: {error}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)  # noqa: T201
        return EXIT_CODES.get(error.code, INTERNAL)
