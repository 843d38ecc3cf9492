"""Common mistakes in a configuration, recognised so that the hint is what was meant."""
