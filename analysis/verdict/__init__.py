"""From evidence to a verdict, its reasons and the sections of the report."""
