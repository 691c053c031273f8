"""The nouns. Frozen values without I/O; every other room speaks in them."""
