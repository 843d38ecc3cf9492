"""LEDs, button and mute switch."""
