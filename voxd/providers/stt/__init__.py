"""Speech to text, one file per vendor, and the driver of those that transcribe while the user speaks."""
