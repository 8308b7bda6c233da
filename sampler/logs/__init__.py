"""Records read back, in constant memory: logs of other tools, and the runs we wrote.

A foreign log has a row for each request. A row without a label is an answer without one; a row
that cannot be read is counted, named, and judged like one, since the request behind it met
some version. Rows are judged in the order in which the requests were sent.
"""

from sampler.logs.foreign import ForeignLog, open_record
from sampler.logs.instants import UNITS, instant_ns
from sampler.logs.reading import (
    DEFAULT,
    MOST_LABELS,
    NONE,
    REMEMBERED,
    REORDERED,
    Columns,
    Quality,
    Reading,
    Record,
)
from sampler.logs.recognise import KINDS
from sampler.logs.stored import MergedSamples, StoredSamples

__all__ = [
    "DEFAULT",
    "KINDS",
    "MOST_LABELS",
    "NONE",
    "REMEMBERED",
    "REORDERED",
    "UNITS",
    "Columns",
    "ForeignLog",
    "MergedSamples",
    "Quality",
    "Reading",
    "Record",
    "StoredSamples",
    "instant_ns",
    "open_record",
]
