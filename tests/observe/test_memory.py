"""What starting up has freed is given back to the system."""

import subprocess
import sys

PROGRAM = """
import re
from pathlib import Path
from voxd.observe.memory import limit_arenas, release_free_memory

def anonymous_kb():
    return int(re.search(r"Anonymous:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1])

limit_arenas()
blocks = [bytes(60_000) for _ in range(500)]
keep = blocks[-1]
before = anonymous_kb()
del blocks
release_free_memory()
print(before - anonymous_kb())
"""


def test_memory_that_was_freed_is_given_back() -> None:
    freed_kb = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(freed_kb.stdout) > 20_000
