"""The running device: its API, status and inputs, and what records its turns."""
