"""Rules about `[[prices]]`, and the other spellings of rate limits."""
