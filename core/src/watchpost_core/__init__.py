"""What Watchpost server and SDK must decide alike. Standard library only."""
