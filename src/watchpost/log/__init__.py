"""The append-only log: what is accepted lands here before it is acknowledged, and is read from here after a crash."""
