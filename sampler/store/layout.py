"""Files of a run's folder."""

from __future__ import annotations

SAMPLES = "samples.parquet"
STREAM = "samples.arrows"
WINDOWS = "windows.parquet"
REPORT = "report.json"
EVENTS = "events.jsonl"
EXPECTATION = "expectation.json"
PLAN = "plan.json"
JUNIT = "junit.xml"
MARKDOWN = "summary.md"
METRICS = "metrics.txt"
