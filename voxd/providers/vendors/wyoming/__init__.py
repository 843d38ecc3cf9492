"""Wyoming servers on the local network."""
