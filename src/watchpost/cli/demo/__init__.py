"""What `watchpost demo` shows: recorded sessions of real frameworks, an agent that loops, and somebody who is told.

Everything here talks to a running Watchpost as any agent would, over OTLP/HTTP, and needs no model and no key.
"""
