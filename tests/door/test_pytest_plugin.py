"""A split is asserted in three lines of a test: one fixture, one marker."""

from __future__ import annotations

import pytest

from sampler.demo.process import EmbeddedService

pytest_plugins = ("pytester",)

OTHERS = ("kmock", "randomly", "hypothesispytest", "xdist", "timeout")
WITHOUT_OTHERS = [word for name in OTHERS for word in ("-p", f"no:{name}")]
"""The plugins that are installed here; one of them needs what is not, another imports NumPy."""

TEST = """
import pytest

@pytest.mark.weighbridge({url!r}, seed=1{options})
def test_split(assert_split):
    assert_split({split!r}{own})
"""


@pytest.fixture
def ended(pytester, monkeypatch):
    """Run one test on a Service of 9 + 1 pods, in a process of its own."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(split, options="", own=""):
        with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
            pytester.makepyfile(TEST.format(url=service.url, split=split, options=options, own=own))
            return pytester.runpytest_subprocess(
                *WITHOUT_OTHERS, "--strict-markers", "-W", "error", "-rA"
            )

    return run


def test_a_right_split_passes(ended):
    ended({"v1": 9, "v2": 1}).assert_outcomes(passed=1)


def test_a_wrong_split_fails_with_the_verdict_the_reasons_and_what_to_do(ended):
    result = ended("v1=1,v2=9")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [">*assert_split('v1=1,v2=9')", "E*Failed: FAIL: v? received *", "E*→ *"]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_an_undecided_split_fails_with_a_message_of_its_own(ended):
    result = ended({"v1": 9, "v2": 1}, ", max_samples=20")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*Failed: INCONCLUSIVE: *",
            "E*The split was proven neither right nor wrong.",
            'E*inconclusive="skip" or "xfail"*',
        ]
    )


def test_an_undecided_split_is_skipped_or_expected_to_fail_if_asked_for(ended):
    undecided = ", max_samples=20, inconclusive="

    ended({"v1": 9, "v2": 1}, f"{undecided}'skip'").assert_outcomes(skipped=1)
    ended({"v1": 9, "v2": 1}, f"{undecided}'xfail'").assert_outcomes(xfailed=1)


def test_a_failed_split_is_no_undecided_one(ended):
    ended("v1=1,v2=9", ", inconclusive='skip'").assert_outcomes(failed=1)


def test_what_a_call_says_comes_before_what_the_marker_says(ended):
    too_few = ", max_samples=20"

    ended({"v1": 9, "v2": 1}, too_few, ", max_samples=5000").assert_outcomes(passed=1)
    ended({"v1": 9, "v2": 1}, ", max_samples=5000", too_few).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (", patience=3", "*UsageError: assert_split and * take no 'patience'*"),
        (", inconclusive='pass'", "*UsageError: inconclusive must be one of fail, skip, xfail*"),
        (", policy='5pp'", "*UsageError: policy must be a Policy, got '5pp'*"),
        (", tolerance='wide'", "*InputError: expected auto, a number of percentage points*"),
    ],
)
def test_an_option_that_is_none_is_told(ended, options, told):
    result = ended({"v1": 9, "v2": 1}, options)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E*{told}"])


def test_a_test_without_a_target_is_told_how_to_name_one(pytester):
    pytester.makepyfile("def test_split(assert_split):\n    assert_split('v1=1')\n")

    result = pytester.runpytest_subprocess(*WITHOUT_OTHERS)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*nothing says which target to weigh*", "E*→ mark the test:*"])


def test_who_does_not_use_it_does_not_pay_for_it(pytester):
    pytester.makepyfile("""
        import sys

        def test_nothing_is_imported():
            assert "weighbridge.pytest_plugin" in sys.modules
            assert not {"analysis", "sampler", "numpy"} & set(sys.modules)
    """)

    pytester.runpytest_subprocess(*WITHOUT_OTHERS).assert_outcomes(passed=1)


def test_the_marker_and_the_fixture_are_listed(pytester):
    listed = [
        pytester.runpytest_subprocess(*WITHOUT_OTHERS, option).stdout.str()
        for option in ("--markers", "--fixtures")
    ]

    assert "@pytest.mark.weighbridge(target, *" in listed[0]
    assert "assert_split" in listed[1]
