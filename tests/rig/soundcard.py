"""A private sound card made of PulseAudio null sinks, for tests on machines without one.

What a test plays into the sink ``micfeed`` is heard by the source ``mic``; what the daemon plays to the
sink ``speaker`` can be recorded from its monitor. PortAudio sees exactly three devices through a private
ALSA configuration: ``vmic``, ``vspeaker`` and ``default``.
"""

import array
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

MIC_RATE_HZ = 16_000
SPEAKER_RATE_HZ = 48_000
NEEDED = ("pulseaudio", "pacat", "parec")
_DEADLINE_S = 5.0

# norewinds: without it an idle null sink renders 2 s ahead, and capture starts late and loses sound.
_MIC = (
    f"load-module module-null-sink norewinds=1 sink_name=micfeed rate={MIC_RATE_HZ} channels=1 "
    "channel_map=mono sink_properties=device.description=micfeed",
    "load-module module-remap-source source_name=mic master=micfeed.monitor channels=1 channel_map=mono "
    "master_channel_map=mono remix=no source_properties=device.description=mic",
    "set-default-source mic",
)
_SPEAKER = (
    f"load-module module-null-sink norewinds=1 sink_name=speaker rate={SPEAKER_RATE_HZ} channels=2 "
    "sink_properties=device.description=speaker",
    "set-default-sink speaker",
)
_ALSA = """pcm.!default { type pulse hint { show on description "default" } }
ctl.!default { type pulse }
pcm.vmic     { type pulse device mic     hint { show on description "virtual microphone" } }
pcm.vspeaker { type pulse device speaker hint { show on description "virtual speaker" } }
"""


def missing() -> str:
    """Why there can be no virtual sound card here; "" when there can."""
    absent = [program for program in NEEDED if shutil.which(program) is None]
    return f"no {', '.join(absent)}: run scripts/setup or apt install pulseaudio" if absent else ""


class SoundCard:
    """One PulseAudio server of our own in ``directory``; nothing else on the machine is touched."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[subprocess.Popen[bytes]] = []
        for name in ("home", "pulse"):
            (directory / name).mkdir(mode=0o700)
        (directory / "asound.conf").write_text(_ALSA)
        self.env = {
            "XDG_RUNTIME_DIR": str(directory),
            "PULSE_RUNTIME_PATH": str(directory / "pulse"),
            "PULSE_SERVER": f"unix:{directory}/pulse/native",
            "PULSE_COOKIE": str(directory / "cookie"),
            "ALSA_CONFIG_PATH": str(directory / "asound.conf"),
        }
        script = [
            f"load-module module-native-protocol-unix socket={directory}/pulse/native auth-anonymous=1",
            f"load-module module-cli-protocol-unix socket={directory}/pulse/cli",
            *_SPEAKER,
            *_MIC,
        ]
        (directory / "voxd.pa").write_text("\n".join(script) + "\n")
        self._server = self._start_server()
        self._noise = self._start_noise()

    def speak(self, wav: Path) -> None:
        """Play a mono 16 kHz file into the microphone in real time; returns at once."""
        with wave.open(str(wav), "rb") as file:
            assert (file.getnchannels(), file.getframerate()) == (1, MIC_RATE_HZ)
            self.speak_pcm(file.readframes(file.getnframes()))

    def speak_pcm(self, pcm: bytes) -> None:
        """Play 16 kHz mono samples into the microphone in real time; returns at once."""
        player = self._feed()
        threading.Thread(target=_pour, args=(player, pcm), daemon=True).start()

    def record(self) -> "Recording":
        """Start recording what the speaker plays, mono at 48 kHz."""
        return Recording(self._client("parec", "speaker.monitor", SPEAKER_RATE_HZ, 20, "mix"))

    def unload_mic(self) -> None:
        """Pull the microphone out: source, feed and noise are gone, streams are moved by the server."""
        # Otherwise the server moves the noise to the loudspeaker, and the capture stream to its monitor.
        self.stop_noise()
        self._unload("master=micfeed.monitor", "sink_name=micfeed")

    def load_mic(self) -> None:
        """Plug it in again, with its noise."""
        self.command(*_MIC)
        self._noise = self._start_noise()

    def unload_speaker(self) -> None:
        """Pull the loudspeaker out."""
        self._unload("sink_name=speaker")

    def load_speaker(self) -> None:
        """Plug it in again."""
        self.command(*_SPEAKER)

    def stop_noise(self) -> None:
        """Leave the microphone exactly silent but for what is spoken into it."""
        self._noise.kill()
        self._noise.wait()

    def stop_server(self) -> None:
        """Freeze the sound server (SIGSTOP): streams stall, nothing reports an error."""
        self._server.send_signal(signal.SIGSTOP)

    def continue_server(self) -> None:
        """Let it run on."""
        self._server.send_signal(signal.SIGCONT)

    def command(self, *lines: str) -> str:
        """Run lines of PulseAudio's command language; returns what it printed once it has obeyed them."""
        with socket.socket(socket.AF_UNIX) as cli:
            cli.settimeout(_DEADLINE_S)
            cli.connect(f"{self._directory}/pulse/cli")
            # It answers no word when it is done ("exit" would end the server), so ask for a complaint.
            cli.sendall("".join(f"{line}\n" for line in (*lines, "done?")).encode())
            answer = b""
            while b"done?" not in answer:
                chunk = cli.recv(65_536)
                assert chunk, "the sound server went away"
                answer += chunk
            return answer.decode(errors="replace")

    def close(self) -> None:
        """End the server and every client; idempotent."""
        self._server.send_signal(signal.SIGCONT)
        for child in (*self._children, self._server):
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()

    def _unload(self, *arguments: str) -> None:
        listed = self.command("list-modules")
        modules = re.findall(r"index: (\d+)\s+name: <[^>]*>\s+argument: <([^>]*)>", listed)
        found = [index for wanted in arguments for index, argument in modules if wanted in argument]
        assert len(found) == len(arguments), listed
        self.command(*(f"unload-module {index}" for index in found))

    def _start_server(self) -> "subprocess.Popen[bytes]":
        options = ["-n", "-F", str(self._directory / "voxd.pa"), "--daemonize=no", "--exit-idle-time=-1"]
        options += ["--use-pid-file=no", "--disable-shm=yes", "--realtime=no", "--high-priority=no"]
        environment = {**os.environ, **self.env, "HOME": str(self._directory / "home")}
        del environment["PULSE_SERVER"]
        with (self._directory / "pulse.log").open("wb") as log:
            server = subprocess.Popen(
                ["pulseaudio", *options, "--log-target=stderr", "--log-level=notice"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _DEADLINE_S
        while "name: <mic>" not in self._sources():
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                server.wait()
                raise RuntimeError("no sound server: " + (self._directory / "pulse.log").read_text())
            threading.Event().wait(0.02)
        return server

    def _sources(self) -> str:
        try:
            return self.command("list-sources")
        except (FileNotFoundError, ConnectionRefusedError):
            return ""

    def _start_noise(self) -> "subprocess.Popen[bytes]":
        """Feed faint noise for ever: a real microphone is never exactly zero."""
        noise = array.array("h", [byte % 5 - 2 for byte in os.urandom(MIC_RATE_HZ)]).tobytes()
        player = self._feed()
        threading.Thread(target=_pour, args=(player, noise, 3600), daemon=True).start()
        return player

    def _feed(self) -> "subprocess.Popen[bytes]":
        return self._client("pacat", "micfeed", MIC_RATE_HZ, 200, "mono")

    def _client(
        self, program: str, device: str, rate_hz: int, latency_ms: int, channels: str
    ) -> "subprocess.Popen[bytes]":
        options = [f"--device={device}", "--format=s16le", f"--rate={rate_hz}", "--channels=1"]
        options += [f"--latency-msec={latency_ms}"]
        if channels == "mono":
            options += ["--channel-map=mono", "--volume=65536"]
        recording = program == "parec"
        child = subprocess.Popen(
            [program, *options],
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL if recording else subprocess.PIPE,
            stdout=subprocess.PIPE if recording else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._children.append(child)
        return child


class Recording:
    """What the speaker plays, collected by a thread until `stop`."""

    def __init__(self, recorder: "subprocess.Popen[bytes]") -> None:
        self._recorder = recorder
        self._pcm = bytearray()
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        self.wait_for_samples(1)

    def wait_for_samples(self, count: int, timeout_s: float = _DEADLINE_S) -> bytes:
        """Wait until ``count`` samples are recorded; returns all so far."""
        with self._grown:
            assert self._grown.wait_for(lambda: len(self._pcm) >= 2 * count, timeout_s), "nothing recorded"
            return bytes(self._pcm)

    def more(self, seconds: float) -> bytes:
        """Wait until ``seconds`` more are recorded; returns only those."""
        with self._grown:
            start = len(self._pcm)
        return self.wait_for_samples(start // 2 + round(seconds * SPEAKER_RATE_HZ))[start:]

    def stop(self) -> bytes:
        """End the recording; returns all of it as 48 kHz mono samples."""
        self._recorder.kill()
        self._thread.join()
        return bytes(self._pcm)

    def _collect(self) -> None:
        assert self._recorder.stdout is not None
        while chunk := os.read(self._recorder.stdout.fileno(), 65_536):
            with self._grown:
                self._pcm += chunk
                self._grown.notify_all()


def _pour(player: "subprocess.Popen[bytes]", pcm: bytes, times: int = 1) -> None:
    assert player.stdin is not None
    # The player may be killed at any moment: its pipe is then broken, or closed by us.
    with contextlib.suppress(BrokenPipeError, ValueError):
        try:
            for _ in range(times):
                player.stdin.write(pcm)
        finally:
            player.stdin.close()


def sound_card(directory: Path) -> Iterator[SoundCard]:
    """Start a card and end it; the body of a fixture."""
    started = SoundCard(directory)
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCard]:
    """A sound card in the environment that the audio programs inherit; import it into a conftest."""
    if reason := missing():
        pytest.skip(reason)
    directory = tmp_path / "card"
    directory.mkdir()
    for started in sound_card(directory):
        for name, value in started.env.items():
            monkeypatch.setenv(name, value)
        yield started
