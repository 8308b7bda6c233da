"""A run looked at afterwards: its timeline, its evidence, another run beside it."""
