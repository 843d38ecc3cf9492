"""Azure: Speech and OpenAI Realtime."""
