"""A target weighed for as long as traffic flows: the loop, and what it shows."""
