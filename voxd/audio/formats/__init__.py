"""Formats of sound as vendors and users send it, recognised by content and decoded."""
