"""Google: Cloud Speech and Gemini Live."""
