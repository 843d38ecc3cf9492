"""Speech to text, a language model and a voice as one provider, with failover in each of the three."""
