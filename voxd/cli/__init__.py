"""voxctl, the command line."""
