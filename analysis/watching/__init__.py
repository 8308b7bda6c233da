"""Continuous weighing: one target, weighed without an end; its state, alarms and recoveries."""
