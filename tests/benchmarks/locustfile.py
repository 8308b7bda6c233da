"""What locust's users do in the comparison: ask, and tally the label."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from locust import FastHttpUser, constant, events, task

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

TALLY: Counter[str] = Counter()


@events.init_command_line_parser.add_listener
def add_arguments(parser: LocustArgumentParser, **_: Any) -> None:
    """Add the switch for a fresh connection each."""
    parser.add_argument("--fresh", action="store_true", default=False)


class Visitor(FastHttpUser):
    """One connection's worth of load."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Send one request and read the version that answered."""
        response = self.client.get("/")
        if self.environment.parsed_options.fresh:
            self.client.client.clientpool.close()
        if response.status_code == 200:
            TALLY[response.json()["label"]] += 1
