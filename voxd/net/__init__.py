"""How any vendor is reached: HTTP, WebSocket, DNS, retry, rate limits, keys, TLS."""
