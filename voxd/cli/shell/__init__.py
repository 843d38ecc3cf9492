"""What shells and `man` get: completion, its values, manual pages."""
