"""What the device can do and say by itself."""
