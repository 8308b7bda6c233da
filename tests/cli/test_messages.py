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
        ((URL, *EXPECT, "--inner", "150%"), "at most 100%"),
        ((URL, *EXPECT, "--missing-ratio", "0.5"), "at least 1"),
        ((URL, *EXPECT, "--missing-ratio", "none"), "at least 1"),
        ((URL, *EXPECT, "--calibrated", "--connection", "reuse"), "--calibrated needs a fresh"),
        ((URL, *EXPECT, "--calibrated", "--connection", "2:5"), "--calibrated needs a fresh"),
        ((URL, *EXPECT, "--rate", "5000"), "--max-rate 5000"),
        ((URL, *EXPECT, "--rate", "fast"), "--rate: expected requests per second"),
        ((URL, *EXPECT, "--method", "POST"), "POST"),
        ((URL, *EXPECT, "--header", "no colon"), "--header"),
        ((URL, *EXPECT, "--resolve", "shop.invalid:80"), "--resolve"),
        ((URL, *EXPECT, "--json", "-", "--junit", "-"), "stdout"),
        ((URL, *EXPECT, "--json", "no/such/folder/x.json"), "--json no/such/folder/x.json"),
        ((URL, *EXPECT, "--config", "missing.toml"), "--config missing.toml"),
        ((URL, *EXPECT, "--max-slowdown", "0.5"), "factor of at least 1"),
        ((URL, *EXPECT, "--max-error-ratio", "lots"), "factor of at least 1"),
        ((URL, *EXPECT, "--canary", "v3"), "canary must be one of the labels"),
        ((URL, *EXPECT, "--replicas", "v3=1"), "'v3' is not in --expect"),
        ((URL, *EXPECT, "--replicas", "9"), "hint: write v1=9,v2=1"),
        ((URL, *EXPECT, "--previous", "v1"), "hint: write v1=10,v2=0"),
        ((URL, "--expect", "v1=10,v2=0", "--max-slowdown", "2"), "nothing to compare"),
        (("ftp://127.0.0.1/", *EXPECT), "http"),
        ((URL,), "one of --expect, --manifests and --cluster"),
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
