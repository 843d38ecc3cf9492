"""AWS: Transcribe and Polly."""
