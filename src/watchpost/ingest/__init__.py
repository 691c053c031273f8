"""Wire to Span, and Span to Reading: OTLP decoding, redaction, conventions (dialects/) and prices."""
