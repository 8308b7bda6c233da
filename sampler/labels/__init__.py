"""Labels: which version answered, read from a response."""
