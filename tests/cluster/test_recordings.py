"""What a real cluster said and what was received, judged: never right by luck.

The truth of each recording was counted from its traffic; `tests/recordings/cluster` holds both.
"""

from __future__ import annotations

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.expect.cluster.standing import Deciding
from sampler.expect.rules.model import NotYetError
from tests.replays import RECORDINGS, check, declare, question, read

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
WITHIN, MOVED = ReasonCode.WITHIN_TOLERANCE, ReasonCode.EXPECTATION_MOVED
DIFFERS, LOST = ReasonCode.DECLARED_DIFFERS, ReasonCode.VERSION_LOST

NAMES = sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir())


@pytest.fixture(scope="module")
def recordings():
    return {name: read(RECORDINGS / name) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "declared", "since_s", "verdict", "code", "weights"),
    [
        ("a-settled", (10, 0), 0.2, PASS, WITHIN, (10, 0)),
        ("b-apply-10-0-to-9-1", (9, 1), 0.2, PASS, WITHIN, (9, 1)),
        ("b-apply-10-0-to-9-1", None, 5.5, PASS, WITHIN, (9, 1)),
        ("b-apply-10-0-to-9-1", (10, 0), 4.5, OPEN, DIFFERS, (10, 0)),
        ("c-promotion", (0, 10), 0.2, PASS, WITHIN, (0, 10)),
        ("c-promotion", (9, 1), 4.5, OPEN, DIFFERS, (9, 1)),
        ("c-promotion", None, 8.0, PASS, WITHIN, (None, 10)),
        ("d-crash-loop", (9, 1), 0.2, OPEN, MOVED, (9, 1)),
        ("d-crash-loop", None, 12.0, OPEN, MOVED, (9, 1)),
        ("f-pods-deleted", None, 12.0, OPEN, LOST, (9, 1)),
        ("f-pods-deleted", (9, 1), 15.5, PASS, WITHIN, (9, 1)),
        ("g-scale-8-2", (9, 1), 0.2, OPEN, DIFFERS, (9, 1)),
        ("g-scale-8-2", None, 4.5, PASS, WITHIN, (8, 2)),
        ("i-4-of-9-unready", (9, 1), 5.5, FAIL, ReasonCode.OUTSIDE_TOLERANCE, (9, 1)),
        ("i-4-of-9-unready", None, 5.5, FAIL, ReasonCode.OUTSIDE_TOLERANCE, (9, 1)),
        ("j-only-terminating", (9, 1), 5.5, OPEN, MOVED, (9, 1)),
        ("j-only-terminating", None, 4.5, OPEN, MOVED, (9, 1)),
        ("k-rolling-restart", (9, 1), 4.5, PASS, WITHIN, (9, 1)),
        ("l-local-node1", (9, 1), 0.2, PASS, WITHIN, (4, 1)),
        ("m-zone-hints-node1", None, 0.2, PASS, WITHIN, (4, 1)),
        ("m-zone-hints-node2", None, 0.2, PASS, WITHIN, (5, 0)),
        ("o-same-tag", None, 0.2, PASS, WITHIN, (3, 1)),
        ("p-proxy-frozen", (7, 3), 0.2, FAIL, ReasonCode.TOO_MANY_UNLABELLED, (7, 3)),
    ],
)
def test_a_recording_ends_as_its_truth_asks(
    recordings, name, declared, since_s, verdict, code, weights
):
    report = check(
        recordings[name],
        declared=None if declared is None else declare(*declared),
        since_s=since_s,
        question=question(name),
    )

    assert (report.verdict, report.reasons[0].code) == (verdict, code), report.reasons
    assert report.expected is not None
    assert tuple(map(report.expected.weights.get, ("v1", "v2"))) == weights


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("since_s", [3.0, 5.2, 5.8, 6.5, 7.0, 9.0, 13.5, 15.2, 17.0])
def test_no_recording_passes_unless_what_came_then_was_the_split(recordings, name, since_s):
    recording = recordings[name]
    try:
        report = check(recording, since_s=since_s, question=question(name))
    except NotYetError:
        assert name == "j-only-terminating"  # nothing is configured any more
        return

    if report.verdict is not PASS or report.expected is None:
        return
    until_s = since_s + report.performance.duration_s
    judged_s = report.samples.independent / 200
    low, high = report.expected.tolerance["v2"]
    assert low <= recording.share("v2", max(until_s - judged_s, since_s), until_s) <= high


@pytest.mark.parametrize(
    ("name", "since_s", "tolerance", "deciding"),
    [
        ("d-crash-loop", 6.0, "auto", None),
        ("d-crash-loop", 12.0, "auto", None),
        ("g-scale-8-2", 4.5, "9pp", None),
        ("i-4-of-9-unready", 8.0, "auto", Deciding.OBSERVED),
        ("j-only-terminating", 5.7, "auto", None),
    ],
)
def test_a_check_that_reads_the_expectation_once_passes_where_it_must_not(
    recordings, name, since_s, tolerance, deciding
):
    # Who believes the endpoints of one moment, or looks only once, is led astray by these.
    asked = {"declared": declare(9, 1), "since_s": since_s, "tolerance": tolerance}

    naive = check(recordings[name], **asked, deciding=deciding, naive=True)
    careful = check(recordings[name], **asked)

    assert naive.verdict is PASS
    assert careful.verdict is not PASS


def test_what_the_pods_say_is_named_with_the_verdict(recordings):
    crashing = check(recordings["d-crash-loop"], since_s=4.5)
    unready = check(recordings["i-4-of-9-unready"], since_s=8.0)

    assert "restarted 3 times, last Error with exit code 1" in crashing.reasons[0].message
    assert any("CrashLoopBackOff" in event.text for event in crashing.events)
    lost = next(each for each in crashing.reasons if each.code is LOST)
    assert "v2 lost its last ready endpoint under an unchanged configuration" in lost.message
    assert "v1: 4 of 9 pods: not ready any more" in unready.reasons[0].message


def test_addresses_of_pods_that_are_gone_are_named_where_connections_time_out(recordings):
    restarted = check(recordings["k-rolling-restart"], since_s=4.5)
    settled = check(recordings["a-settled"])

    assert any("conntrack" in note for note in restarted.notes)
    assert not any("conntrack" in note for note in settled.notes)


def test_what_was_set_aside_is_told_with_its_length_and_counts(recordings):
    report = check(recordings["k-rolling-restart"], declared=declare(9, 1), since_s=4.5)

    assert report.reasons[0].message.startswith("Only ")
    assert "set aside in" in report.reasons[0].message
    (told,) = [note for note in report.notes if note.startswith("not judged: ")]
    assert "no label" in told
    assert "v1 " in told


@pytest.mark.parametrize("wait_s", [0.0, 2.0])
def test_the_wait_ends_a_run_that_cannot_be_judged(recordings, wait_s):
    report = check(recordings["g-scale-8-2"], declared=declare(9, 1), since_s=8.0, wait_s=wait_s)

    assert (report.verdict, report.reasons[0].code) == (OPEN, DIFFERS)
    assert report.performance.duration_s <= wait_s + 0.3
    assert report.samples.launched <= 5 * wait_s + 2
