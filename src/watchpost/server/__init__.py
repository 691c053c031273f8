"""Everything that listens: OTLP over HTTP and gRPC, the JSON API, the pages, and Watchpost's own health.

The room decides nothing. It parses what callers send, asks the flow or the stores, and says the answer in the caller's
form. Everything that came from a trace is hostile text until it is escaped.
"""
