"""Variables for later jobs, in the form that GitLab accepts."""

from __future__ import annotations

import re
from dataclasses import replace

from analysis.render import to_dotenv


def _variables(report):
    return dict(line.split("=", 1) for line in to_dotenv(report).splitlines())


def test_the_verdict_and_its_reason_are_words(reports):
    failed = replace(reports["failed"], run=replace(reports["failed"].run, commit="ab" * 20))

    assert _variables(failed) == {
        "WEIGHBRIDGE_VERDICT": "FAIL",
        "WEIGHBRIDGE_REASON": failed.reasons[0].code,
        "WEIGHBRIDGE_CONNECTIONS": str(failed.samples.independent),
        "WEIGHBRIDGE_RUN": failed.run.id,
        "WEIGHBRIDGE_COMMIT": "ab" * 20,
    }


def test_what_was_not_judged_has_no_verdict_that_could_be_mistaken(reports):
    assert _variables(reports["measured"])["WEIGHBRIDGE_VERDICT"] == "NONE"


def test_no_name_of_a_run_can_add_a_line_or_a_quote(reports):
    run = replace(reports["passed"].run, id='a b\n#c="d"\r$(e)é' + "x" * 9000)

    text = to_dotenv(replace(reports["passed"], run=run))

    assert len(text) < 5000
    assert all(re.fullmatch(r"[A-Z_]+=[A-Za-z0-9._:/+-]+", line) for line in text.splitlines())
