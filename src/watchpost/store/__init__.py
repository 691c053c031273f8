"""Contracts for what is kept: telemetry and state. Engines that fulfil them are private to this room and to runtime."""
