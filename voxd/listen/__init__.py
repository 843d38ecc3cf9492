"""The ears: wake words, voice activity, end of speech."""
