"""The OpenAI Realtime protocol, which several vendors speak."""
