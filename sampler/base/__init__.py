"""What every other room stands on: errors, the clock, redaction, Git."""
