"""The checks of `voxctl doctor`."""
