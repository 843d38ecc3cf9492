"""Stands in for the daemon in its unit: tries what the daemon does, and what it must not be able to do."""

import asyncio
import ctypes
import json
import logging
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from voxd.observe.log import start_logging
from voxd.observe.notify import Notifier, listen_sockets, watchdog_interval_s

STATE = Path(os.environ["STATE_DIRECTORY"])
SHARED = Path("/opt/voxd/shared")


def hear_with_the_wake_engines() -> str:
    from voxd.frames import Frame
    from voxd.listen.capture import Vad
    from voxd.listen.microwakeword import MicroWakeWordEngine
    from voxd.listen.openwakeword import OpenWakeWordEngine

    for stage in (MicroWakeWordEngine(("hey_jarvis",)), OpenWakeWordEngine({"hey_jarvis": ""})):
        for block in range(50):
            stage.feed(Frame(block * 640, bytes(1280)))
        stage.close()
    return f"{Vad().probability(bytes(1024)):.2f}"


def load_the_recognisers() -> str:
    import pocketsphinx
    import pywhispercpp.model

    pocketsphinx.Decoder(loglevel="FATAL")
    return pywhispercpp.model.__name__


def open_portaudio() -> str:
    import pyaudio

    audio = pyaudio.PyAudio()
    try:
        return f"{audio.get_device_count()} devices"
    finally:
        audio.terminate()


def call_back_from_c() -> str:
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda _a, _b: 0)
    ctypes.CDLL(None).qsort((ctypes.c_int * 4)(), 4, 4, compare)
    return "called"


def share_a_ring_with_a_child() -> str:
    descriptor = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    ring = mmap.mmap(descriptor, 4096)
    child = f"import mmap; mmap.mmap({descriptor}, 4096)[:5] = b'heard'"
    subprocess.run([sys.executable, "-c", child], pass_fds=(descriptor,), check=True, timeout=20)
    heard = ring[:5].decode()
    ring.close()
    os.close(descriptor)
    return heard


def keep_a_database() -> str:
    import sqlite3

    with sqlite3.connect(STATE / "probe.db") as database:
        database.execute("pragma journal_mode=wal")
        database.execute("create table if not exists t (x)")
    database.close()
    return "kept"


def pack_an_utterance() -> str:
    from voxd.audio.files import decode_flac, encode_flac
    from voxd.frames import Clip

    clip = Clip(bytes(32_000), 16_000)
    return str(decode_flac(encode_flac(clip)) == clip)


def keep_an_utterance_and_a_phrase() -> str:
    return asyncio.run(_keep_an_utterance_and_a_phrase())


async def _keep_an_utterance_and_a_phrase() -> str:
    from voxd.clock import SystemClock
    from voxd.config.schema import Queue
    from voxd.store.db import Database
    from voxd.store.file_cache import FileCache
    from voxd.store.queue import UtteranceQueue

    database = Database(STATE / "utterances.db")
    try:
        await database.open()
        await UtteranceQueue(database, Queue(), SystemClock()).add("probe", flac=b"fLaC", duration_ms=1)
    finally:
        await database.close()
    shelf = FileCache(STATE / "phrases", limit_bytes=100)
    await shelf.put("hello", b"fLaC")
    return str(await shelf.get("hello"))


def speak_with_flite() -> str:
    subprocess.run(
        ["flite", "-t", "hello", "-o", str(STATE / "hello.wav")], check=True, timeout=20, capture_output=True
    )
    return f"{(STATE / 'hello.wav').stat().st_size > 1000}"


def speak_with_piper() -> str:
    from piper import PiperVoice

    voice = PiperVoice.load(SHARED / "models/piper_table_voice/voice.onnx")
    return str(sum(len(chunk.audio_int16_bytes) for chunk in voice.synthesize("hello")))


def transcribe_with_whisper() -> str:
    import numpy
    from pywhispercpp.model import Model

    model = Model(str(SHARED / "models/whisper_closed_set/ggml-closed-set.en.bin"), n_threads=2)
    return str(model.transcribe(numpy.zeros(16_000, dtype=numpy.float32)))


def read_a_credential() -> str:
    return (Path(os.environ["CREDENTIALS_DIRECTORY"]) / "voxd_probe_key").read_text()


def step_back_behind_the_audio() -> str:
    return str(os.nice(1))


def open_an_internet_socket() -> str:
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    return "opened"


def find_a_host() -> str:
    return str(socket.getaddrinfo("localhost", 443, type=socket.SOCK_STREAM)[0][4][0])


def load_what_reaches_vendors() -> str:
    from voxd.net import http_client, sockets

    return f"{http_client.__name__}, {len(asyncio.run(sockets.load_tls_context('')).get_ciphers())} ciphers"


def map_memory_to_write_and_execute() -> str:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "mapped"


def run_a_program_from(directory: str) -> Callable[[], str]:
    def run() -> str:
        program = Path(directory) / "true"
        shutil.copy("/bin/true", program)
        program.chmod(0o755)
        subprocess.run([program], check=True, timeout=20)
        return "ran"

    return run


def write_to(path: str) -> Callable[[], str]:
    def write() -> str:
        Path(path).write_text("x")
        return "written"

    return write


def read_from(path: str) -> Callable[[], str]:
    return lambda: str(len(Path(path).read_bytes()))


def listen_to_the_kernel() -> str:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return "opened"


def take_real_time() -> str:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    return "taken"


def gain_priority() -> str:
    return str(os.nice(-10))


def enter_a_namespace() -> str:
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "unshare")
    return "entered"


MUST_WORK: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        hear_with_the_wake_engines,
        load_the_recognisers,
        open_portaudio,
        call_back_from_c,
        share_a_ring_with_a_child,
        keep_a_database,
        read_a_credential,
        step_back_behind_the_audio,
        pack_an_utterance,
        keep_an_utterance_and_a_phrase,
        open_an_internet_socket,
        find_a_host,
        load_what_reaches_vendors,
    )
}
if shutil.which("flite"):
    MUST_WORK[speak_with_flite.__name__] = speak_with_flite
if SHARED.is_dir():
    MUST_WORK[speak_with_piper.__name__] = speak_with_piper
    MUST_WORK[transcribe_with_whisper.__name__] = transcribe_with_whisper

MUST_FAIL: dict[str, Callable[[], str]] = {
    "map memory to write and execute": map_memory_to_write_and_execute,
    "run a program from state": run_a_program_from(str(STATE)),
    "run a program from tmp": run_a_program_from("/tmp"),
    "run a program from shared memory": run_a_program_from("/dev/shm"),
    "write to /etc": write_to("/etc/voxd/voxd.toml"),
    "write to /usr": write_to("/usr/probe"),
    "write to /opt": write_to("/opt/voxd/probe"),
    "read shadow": read_from("/etc/shadow"),
    "read the credentials of others": read_from("/etc/voxd/credentials/probe_key"),
    "listen to the kernel": listen_to_the_kernel,
    "take real time": take_real_time,
    "gain priority": gain_priority,
    "enter a namespace": enter_a_namespace,
}


def attempt(what: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, what()
    except Exception:
        return False, traceback.format_exc(limit=-3)


def serve(sock: socket.socket, notifier: Notifier, report: dict[str, object]) -> None:
    """Answer each connection with the report and the peer's ids; obey one word."""
    while True:
        client, _ = sock.accept()
        with client:
            pid_uid_gid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            word = client.recv(64).decode()
            if word == "trigger":
                notifier.request_restart()
            if word == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            client.sendall(json.dumps(report | {"pid": os.getpid(), "uid": pid_uid_gid[1]}).encode())


def reload(notifier: Notifier) -> None:
    notifier.reloading(0)
    notifier.ready("reloaded")
    logging.getLogger("probe").info("hung up", extra={"voxd": {"event": "daemon.reloaded"}})


def main() -> None:
    handler = start_logging("info")
    notifier = Notifier()
    sockets = listen_sockets()
    signal.signal(signal.SIGHUP, lambda *_: reload(notifier))
    report: dict[str, object] = {
        "sockets": sorted(sockets),
        "watchdog_s": watchdog_interval_s(),
        "works": {name: attempt(what) for name, what in MUST_WORK.items()},
        "refused": {name: attempt(what) for name, what in MUST_FAIL.items()},
    }
    logging.getLogger("probe").info(
        "probe %.0s ready", "zebra-canary", extra={"voxd": {"event": "daemon.ready", "turn": "t1"}}
    )
    notifier.ready("probing")
    try:
        serve(sockets["control"], notifier, report)
    finally:
        handler.close()


if __name__ == "__main__":
    main()
