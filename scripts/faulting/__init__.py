"""Breaks the network and the vendors in every way the reference lists, and tells what a user then hears."""
