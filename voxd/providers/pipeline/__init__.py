"""STT, LLM and TTS as one provider, with failover in each stage."""
