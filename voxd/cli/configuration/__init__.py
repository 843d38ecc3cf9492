"""`voxctl config` and `voxctl secret`."""
