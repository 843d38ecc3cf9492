"""Engines that answer without a network, in worker processes."""
