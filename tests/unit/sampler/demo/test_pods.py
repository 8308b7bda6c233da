import pytest

from sampler.base.errors import UsageError
from sampler.demo.pods import (
    Counts,
    Fate,
    Faults,
    Pod,
    Service,
    counts_from_json,
    counts_to_json,
    pods_of,
)


def test_pods_are_named_as_in_a_canary_release():
    pods = pods_of({"v1": 2, "v2": 1, "v3": 1}, {"v2": Faults(drop=0.5)})

    assert pods == (
        Pod("app-1", "v1"),
        Pod("app-2", "v1"),
        Pod("app-canary-1", "v2", Faults(drop=0.5)),
        Pod("app-canary2-1", "v3"),
    )


def test_a_label_without_pods_still_takes_its_place_among_the_names():
    assert pods_of({"v1": 0, "v2": 1}) == (Pod("app-canary-1", "v2"),)


@pytest.mark.parametrize("weights", [{"v1": -1}, {"v1": 10_001}])
def test_a_number_of_pods_out_of_range_is_refused(weights):
    with pytest.raises(UsageError, match="pods of 'v1'"):
        pods_of(weights)


def test_faults_of_a_label_without_pods_are_refused():
    with pytest.raises(UsageError, match="'v9'"):
        pods_of({"v1": 1}, {"v9": Faults()})


@pytest.mark.parametrize(
    "values",
    [
        {"drop": -0.1},
        {"hang": 1.1},
        {"reset": float("nan")},
        {"delay_s": -1},
        {"delay_s": 61},
        {"drop": 0.6, "error": 0.6},
    ],
)
def test_faults_out_of_range_are_refused(values):
    with pytest.raises(UsageError):
        Faults(**values)


def test_two_pods_of_one_name_are_refused():
    with pytest.raises(UsageError, match="'app-1' twice"):
        Service((Pod("app-1", "v1"), Pod("app-1", "v2")))


def test_too_many_pods_are_refused():
    with pytest.raises(UsageError, match="at most"):
        Service(tuple(Pod(f"app-{n}", "v1") for n in range(10_001)))


def test_each_fraction_owns_its_part_of_the_unit_interval():
    faults = Faults(drop=0.1, hang=0.2, reset=0.3, error=0.2)

    fates = [faults.fate(draw) for draw in (0.0, 0.09, 0.11, 0.29, 0.31, 0.59, 0.61, 0.79, 0.81)]

    assert fates == [
        Fate.DROPPED,
        Fate.DROPPED,
        Fate.HUNG,
        Fate.HUNG,
        Fate.RESET,
        Fate.RESET,
        Fate.ERROR,
        Fate.ERROR,
        Fate.ANSWERED,
    ]


@pytest.mark.parametrize(
    "faults",
    [Faults(drop=0.1), Faults(hang=0.1), Faults(reset=0.1), Faults(error=0.1), Faults(delay_s=1)],
)
def test_a_pod_with_any_fault_is_not_taken_for_harmless(faults):
    assert Faults(html=True).is_harmless
    assert not faults.is_harmless


def test_counts_survive_the_control_channel():
    counts = Counts(connections=7, rejected=1)
    counts.requests["v1", Fate.ANSWERED] += 3
    counts.requests["v2", Fate.HUNG] += 2
    counts.hosts["app-1"] += 5

    assert counts_from_json(counts_to_json(counts)) == counts


def test_counts_are_summed_by_label_and_by_fate():
    counts = Counts()
    counts.requests["v1", Fate.ANSWERED] += 3
    counts.requests["v2", Fate.ANSWERED] += 4
    counts.requests["v2", Fate.HUNG] += 2

    assert counts.total == 9
    assert counts.of("v2") == {Fate.ANSWERED: 4, Fate.HUNG: 2}
    assert counts.by_fate() == {Fate.ANSWERED: 7, Fate.HUNG: 2}
