"""Which provider answers: failover, circuit breaker, spend, offline queue."""
