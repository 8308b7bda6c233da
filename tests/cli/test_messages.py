"""What is said of input that cannot be used: its option, what was expected, what came instead."""

from __future__ import annotations

import pytest

from sampler.cli.entry import main

EXPECT = ("--expect", "v1=9,v2=1")
URL = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((URL, "--expect", ""), "--expect '': expected LABEL=WEIGHT"),
        ((URL, "--expect", "v1=9 v2=1"), "a comma between two labels"),
        ((URL, "--expect", "v1=9,v1=1"), "got v1 twice"),
        ((URL, *EXPECT, "--label", "label"), "--label label: expected a JSON pointer"),
        ((URL, *EXPECT, "--label", "regex:("), "'(': missing )"),
        ((URL, *EXPECT, "--label", "regex:a{99999999999999999999}"), "regular expression"),
        ((URL, *EXPECT, "--label", "regex:[[a]"), "nested set"),
        ((URL, *EXPECT, "--replica", "pod"), "--replica pod: expected a JSON pointer"),
        ((URL, *EXPECT, "--connection", "5:2"), "--connection 5:2: expected 1 <= MIN <= MAX"),
        ((URL, *EXPECT, "--max-unlabelled", "0"), "--max-unlabelled must be a share in (0, 1]"),
        ((URL, *EXPECT, "--alpha", "nan"), "above 0 and below 0.5, such as 0.01, got 'nan'"),
        ((URL, *EXPECT, "--concurrency", "1.5"), "a whole number from 1 to 10000, got '1.5'"),
        ((URL, *EXPECT, "--tolerance", "v3=1pp"), "v3 is not expected, only v1, v2"),
        ((URL, *EXPECT, "--manifests", "."), "one of --expect, --manifests and --cluster"),
        ((URL, *EXPECT, "--settle", "5s"), "give --cluster"),
        (EXPECT, "expected a URL"),
        (("https://127.0.0.1:9/", *EXPECT, "--cacert", "no.pem"), "--cacert no.pem: No such file"),
    ],
)
def test_a_check_that_cannot_be_meant_is_refused_by_its_option(
    capsys, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.chdir(tmp_path)

    code = main(["check", *arguments])

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2, said
    assert named in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
