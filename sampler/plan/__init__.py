"""What a run sets out to do: target, load, limits, expectation."""
