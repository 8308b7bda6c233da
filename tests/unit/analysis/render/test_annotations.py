import json
from dataclasses import replace

from analysis.data.report import Reason, ReasonCode
from analysis.render.annotations import to_github_annotations, to_gitlab_annotations


def test_gitlab_gets_a_section_of_links():
    document = json.loads(to_gitlab_annotations({"report": "https://forge.example/a?b=1&c"}))

    assert document == {
        "weighbridge": [
            {"external_link": {"label": "report", "url": "https://forge.example/a?b=1&c"}}
        ]
    }


def test_github_gets_an_error_for_a_fail_with_what_to_do(reports):
    line = to_github_annotations(reports["failed"])

    assert line.startswith("::error title=weighbridge%3A FAIL::v2 received 49.8 %25 [44.1")
    assert "%0A→ check that the weights" in line
    assert line.count("\n") == 1


def test_github_gets_a_warning_for_inconclusive_and_a_notice_for_the_others(reports):
    assert to_github_annotations(reports["undecided"]).startswith("::warning ")
    assert to_github_annotations(reports["passed"]).startswith("::notice ")
    assert to_github_annotations(reports["measured"]).startswith("::notice ")


def test_a_message_cannot_begin_another_command(reports):
    reason = Reason(ReasonCode.UNEXPECTED_LABEL, "x\r\n::stop-commands::y%0A", "")

    line = to_github_annotations(replace(reports["failed"], reasons=[reason]))

    assert line.splitlines() == [line.rstrip("\n")]
    assert "%250A" in line
