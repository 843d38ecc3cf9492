"""Sessions with speech-to-speech vendors."""
