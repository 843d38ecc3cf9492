"""Breaks the network and the vendors in many ways, and reports what a user then hears."""
