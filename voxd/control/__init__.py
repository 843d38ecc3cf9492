"""The control socket: methods, server, client."""
