"""The configuration: one schema, its loading, its checking."""
