"""The running device: what every surface asks of it, and what a voice command may do to it."""
