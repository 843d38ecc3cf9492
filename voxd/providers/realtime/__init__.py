"""Sessions with vendors who listen and speak at the same time."""
