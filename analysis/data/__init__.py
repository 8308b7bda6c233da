"""The values that cross the border: batches, splits, policies, tallies, reports."""
