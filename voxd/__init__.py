"""voxd turns a Raspberry Pi into a voice appliance."""

__version__ = "0.1.0"
