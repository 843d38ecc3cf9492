"""A package outside voxd adds stages by entry points: the example of the vendors' README."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[3] / "voxd/providers/vendors/README.md"

PROGRAM = """
import asyncio, json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESPONSES = {
    "/transcribe": ("application/json", b'{"text": "what time is it"}'),
    "/reply": ("text/plain", b"It is noon."),
    "/speak": ("audio/pcm", bytes([1, 16, 1, 240]) * 1200),
}


class Server(BaseHTTPRequestHandler):
    requests = []

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append((self.path, self.headers["Authorization"]))
        kind, body = RESPONSES[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


async def converse(url):
    from voxd import EventType, VoiceEngine

    stage = {"kind": "acme", "endpoint": url, "api_key": "k"}
    metadata = {"stt": [stage], "llm": [stage], "tts": [stage]}
    # The default of 2.5 s is too short when the machine is busy; this test is not about latency.
    metadata["first_audio_timeout_s"] = 60.0
    engine = VoiceEngine(provider="pipeline", metadata=metadata, vad_enabled=False)
    texts, sound, done = [], [], asyncio.Event()
    engine.on_text_response = texts.append
    engine.on_audio_response = sound.append
    engine.on_response_done = done.set
    engine.on_error = lambda error: (texts.append(repr(error)), done.set())
    async with engine:
        await engine.send_recorded_audio(bytes(48_000))
        await asyncio.wait_for(done.wait(), 120)
    return "".join(texts), sum(map(len, sound))


def main():
    from voxd.providers.facts import default_model, facts
    from voxd.providers.pipeline.stages.registry import list_stages

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text, size = asyncio.run(converse(f"http://127.0.0.1:{server.server_port}"))
    listed = {}
    for kind in ("stt", "llm", "tts"):
        listed[kind] = [status.load_error for status in list_stages(kind) if status.name == "acme"]
    models = [default_model("acme", kind) for kind in listed]
    found = {"models": models, "text": text, "bytes": size, "listed": listed}
    print(json.dumps({**found, "requests": Server.requests}))


main()
"""

CONFIG = """
[providers.acme]
kind = "acme"
api_key = { env = "ACME_KEY" }

[pipelines.cloud]
stt = ["acme"]
llm = ["acme"]
tts = ["acme"]

[agents.default]
provider = "cloud"
"""


def block(language: str) -> str:
    """Return the only code block of ``language`` in the README."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory on the path into which the example package is installed."""
    package = tmp_path / "acme_voice"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stages.py").write_text(block("python"))
    (package / "facts.toml").write_text(block("toml"))
    info = tmp_path / "acme_voice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-voice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(block("ini"))
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with ``site`` on its path."""
    path = os.pathsep.join((str(site), str(README.parents[3])))
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "ACME_KEY": "k", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        # About 4 s on an idle machine; the limit only ends a program that hangs.
        timeout=180,
        check=False,
    )


def test_the_example_package_is_listed_and_holds_a_conversation(site: Path) -> None:
    ran = run(site, "-c", PROGRAM)
    assert ran.returncode == 0, ran.stderr

    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["listed"] == {"stt": [""], "llm": [""], "tts": [""]}
    assert found["models"] == ["acme-stt-1", "acme-llm-1", "acme-tts-1"]
    assert found["text"] == "It is noon.", ran.stderr
    assert found["bytes"] > 0
    assert [path for path, _ in found["requests"]] == ["/transcribe", "/reply", "/speak"]
    assert {key for _, key in found["requests"]} == {"Bearer k"}


def test_config_check_accepts_the_kind_and_its_facts(site: Path, tmp_path: Path) -> None:
    """Its ``facts.toml`` says that the kind needs a key, so a missing key is a problem."""
    program = "import sys; from voxd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    file = tmp_path / "voxd.toml"
    file.write_text(CONFIG)
    ran = run(site, "-c", program, "config", "check", str(file))
    assert (ran.returncode, ran.stdout) == (0, f"no problems ({file})\n"), ran.stderr

    file.write_text(CONFIG.replace("api_key", "#api_key"))
    ran = run(site, "-c", program, "config", "check", str(file))
    assert "acme" in ran.stdout
    assert "no problems" not in ran.stdout
