"""The vendors' own clients and types judge our fakes, and what voxd sends to them."""
