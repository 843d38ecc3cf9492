"""The handlers of users: who is called for which event, how, and what becomes of those who misbehave."""
