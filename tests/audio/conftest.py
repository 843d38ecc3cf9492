"""The virtual sound card for every test of this room."""

from tests.rig.soundcard import card

__all__ = ["card"]
