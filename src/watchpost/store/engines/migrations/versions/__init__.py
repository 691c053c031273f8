"""One module per schema version of the state store."""
