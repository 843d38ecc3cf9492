"""The sound card, kept in small processes of its own."""
