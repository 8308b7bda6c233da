"""What a terminal shows of a watch: one order, lines that fit, and the canary by minutes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from analysis.data.live import Cost
from analysis.review.chronicle import Chronicle
from analysis.watching.picture import Around, picture
from sampler.cli.live import drawn, in_words, sparkline
from tests.unit.analysis.watching.simulated import START, Target, lookout_of


def session_after(*stretches):
    """Weigh some stretches, each of seconds and a share, and return what is drawn of them."""
    lookout, target, second = lookout_of(), Target(1), 0
    told = []
    for seconds, canary in stretches:
        for _ in range(seconds):
            lookout.weigh(target.second(second, canary))
            second += 1
            told += lookout.look(START + second)
    around = Around(
        url="http://shop/", run="", started=START, cost=Cost(rate_per_s=20.0, asked_per_s=20.0)
    )
    state = picture(lookout, around, START + second)
    return SimpleNamespace(name="shop", lookout=lookout, latest=state), told


@pytest.mark.parametrize("columns", [50, 100, 200])
def test_the_versions_stand_in_one_order_and_no_line_is_broken(columns):
    for stretches in ([(100, 0.1)], [(100, 0.1), (20, 0.9)]):
        session, events = session_after(*stretches)
        told = Chronicle(events).targets["shop"]
        lines = [line.plain for line in drawn(session, told, columns)]
        places = [
            next(n for n, line in enumerate(lines) if f"  {v} ▕" in line) for v in ("v2", "v1")
        ]

        assert places == sorted(places)
        assert str(session.latest.state) in lines[0]
        assert "v2 by the minute" in lines[-1]
        assert max(map(cell_len, lines)) <= columns


def test_minutes_are_drawn_from_0_to_the_highest_and_a_gap_is_blank():
    session, events = session_after((60, 0.1), (60, 0.8), (120, 0.4))
    drawn_minutes = sparkline(Chronicle(events).targets["shop"].buckets[10], "v2")

    assert drawn_minutes.count("█") >= 1
    assert drawn_minutes.index("█") == 1
    assert "▁" <= drawn_minutes[0] < drawn_minutes[3] < "█"
    events += session.lookout.look(START + 400)
    assert sparkline(Chronicle(events).targets["shop"].buckets[10], "v2").endswith(" ")


def test_buckets_and_states_are_no_lines_and_what_came_is_printable():
    session, told = session_after((100, 0.1), (20, 0.9))
    lines = [line for event in told if (line := in_words(event))]

    assert [line.partition(" ")[0] for line in lines] == ["turn:", "ALARM", "turn:"]
    assert session.latest.line.startswith("DRIFT FAIL")
