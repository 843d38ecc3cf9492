"""`VoiceEngine`, the public library class, and its parts."""
