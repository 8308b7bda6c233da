from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from analysis.render import to_metrics


def samples(text):
    return {
        (sample.name, sample.labels.get("version")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_parser_of_openmetrics_reads_the_numbers_back(reports):
    read = samples(to_metrics(reports["failed"]))

    assert read["canary_split_observed_ratio", "v2"] == 0.4983
    assert read["canary_split_expected_ratio", "v2"] == 0.1
    assert read["canary_split_verdict", None] == 1
    assert read["canary_split_samples_effective", None] == 291


def test_the_series_are_the_same_whatever_answered(reports):
    right = reports["passed"]
    foreign = replace(right.observed, counts={"v1": 90, "intruder": 10})

    usual, strange = to_metrics(right), to_metrics(replace(right, observed=foreign))

    assert samples(usual).keys() == samples(strange).keys()
    assert samples(strange)["canary_split_unexpected_ratio", None] == 0.1
    assert samples(strange)["canary_split_observed_ratio", "v2"] == 0


def test_the_same_shares_give_the_same_text_in_another_run(reports):
    right = reports["passed"]
    other = replace(right, run=replace(right.run, id="another", seed=8, started_at="later"))

    assert to_metrics(right) == to_metrics(other)


def test_gitlab_finds_name_and_value_at_the_first_blank(reports):
    expected = replace(reports["passed"].expected, weights={'a b\n"c"\\': 1}, shares={"a b": 1.0})
    text = to_metrics(replace(reports["passed"], expected=expected))

    for line in text.splitlines():
        if not line.startswith("#"):
            assert len(line.split()) == 2
            float(line.split()[1])
    assert text.endswith("\n# EOF\n")


def test_a_measurement_has_neither_verdict_nor_expectation(reports):
    text = to_metrics(reports["measured"])

    assert "verdict" not in text
    assert "expected_ratio" not in text


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_every_report_becomes_metrics_that_a_parser_reads(any_report, data):
    assert samples(to_metrics(data.draw(any_report)))
