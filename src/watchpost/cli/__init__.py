"""The commands. Each reads settings once, does one thing, and ends with an exit code that says how it went."""
