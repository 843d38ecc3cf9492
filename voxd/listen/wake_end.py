"""Where the wake word ended: the sample from which on everything belongs to the command."""

from voxd.frames import samples_from_ms
from voxd.listen.gate import Verdict


def wake_end(verdict: Verdict) -> int:
    """Return the estimated end of the word that ``verdict`` accepted."""
    return verdict.candidate.opened - samples_from_ms(20)
