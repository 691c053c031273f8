"""What can be asked, as values."""
