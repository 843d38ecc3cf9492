"""Text to speech, one file per vendor."""
