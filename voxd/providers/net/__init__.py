"""Reaches vendors over a network: names, sockets, requests, and what their refusals mean."""
