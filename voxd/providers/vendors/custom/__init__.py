"""Servers of the owner."""
