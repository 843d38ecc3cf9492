"""What is spoken of a text that was written for a screen."""
