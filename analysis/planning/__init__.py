"""What a run will need, and what it would tell apart."""
