"""One folder a vendor: its stages, its wire format, its facts."""
