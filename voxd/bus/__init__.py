"""Events: the bus and the dispatcher of user handlers."""
