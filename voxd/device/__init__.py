"""The appliance over its rooms."""
