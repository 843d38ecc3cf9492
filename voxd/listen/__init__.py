"""Wake words, voice activity and the end of speech."""
