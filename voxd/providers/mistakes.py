"""What a stranger's code did wrong, without its own words: those may be what somebody said."""

from pathlib import Path
from traceback import extract_tb


def mistake(error: BaseException) -> str:
    """Return the kind of ``error`` and where it was raised: "KeyError in vendor.py, line 12"."""
    frames = extract_tb(error.__traceback__)
    kind = type(error).__name__
    return f"{kind} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else kind
