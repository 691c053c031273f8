"""Watchpost sees when an LLM agent misbehaves, says which step went wrong, and tells who must know."""
