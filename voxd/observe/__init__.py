"""Log, metrics, service manager, latency."""
