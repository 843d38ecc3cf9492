"""A device without a cloud does not pay for one: what its daemon must not have loaded."""

import json
import subprocess
import sys

HEAVY = {
    "aiohappyeyeballs",
    "anyio",
    "httpcore",
    "httpx",
    "tenacity",
    "websockets",
    "soundfile",
    "wyoming",
    "importlib.metadata",
    "rich",
}


def test_the_daemon_loads_nothing_that_only_a_cloud_needs() -> None:
    program = "import json, sys, voxd.daemon; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert HEAVY & {*json.loads(ran.stdout)} == set()
