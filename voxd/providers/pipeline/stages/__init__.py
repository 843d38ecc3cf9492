"""What the speech-to-text, language-model and text-to-speech stages of several vendors share."""
