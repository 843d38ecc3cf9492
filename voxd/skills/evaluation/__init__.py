"""Tries sentences on a simulated device and judges what they do."""
