"""How long one channel has carried no signal. Imports little: the capture process uses it."""

from collections.abc import Collection

# The last bit toggles, with the dither of a sound server on top of it: -1, 0, 1 around any constant.
_DITHERED_BIT = 2
# One value is a constant; two are a stuck line, however far they lie apart.
_STUCK_VALUES = 2


def is_flat(values: Collection[int]) -> bool:
    """Whether samples of just these ``values`` are no signal: zeros, a constant, the noise of one bit."""
    # The quietest MEMS microphone (87 dB below full scale) spreads over ten values in a second.
    return len(values) <= _STUCK_VALUES or max(values) - min(values) <= _DITHERED_BIT


class FlatRun:
    """Counts the samples since a channel last carried a signal."""

    def __init__(self) -> None:
        self.samples = 0
        self._values: set[int] = set()

    def feed(self, values: Collection[int], samples: int) -> int:
        """Add a block of ``samples`` that holds ``values``; returns the length of the run, 0 for a signal."""
        block = set(values)
        joined = self._values | block
        if is_flat(joined):
            self.samples += samples
            self._values = joined
        elif is_flat(block):
            # Another constant than before: that one step was a click, and a new run begins.
            self.samples, self._values = samples, block
        else:
            self.samples, self._values = 0, set()
        return self.samples
