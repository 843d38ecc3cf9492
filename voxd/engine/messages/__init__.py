"""Text messages to a language model without a session."""
