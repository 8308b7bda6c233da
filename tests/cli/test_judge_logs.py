"""Logs as people have them: each gets the right verdict, or the right advice, at the first try."""

from __future__ import annotations

import json

import pytest

from sampler.cli.entry import main
from tests.recordings.make import HERE

LOGS = HERE / "met"
NINE_TO_ONE = ("--expect", "v1=9,v2=1")
BY_PORT = ("--map", "127.0.0.1:18501=v1,127.0.0.1:18502=v2")
APACHE = (
    '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" %{X-Version}o %D'  # of their httpd.conf
)
ONE_ADDRESS = ("--expect", "app=1", "--map", "127.0.0.1:*=app")
ALL_301 = "100.0 % [97.3, 100.0] of 301"
PASS, FAIL, USAGE, INCONCLUSIVE, UNMEASURABLE = 0, 1, 2, 3, 4

MET = {
    # A number is the name that it is spelled as.
    "numbers.jsonl": (("--expect", "1.1=1"), FAIL, "Unexpected version '1.10'"),
    # No label in any row is no verdict.
    "no-label.jsonl": (NINE_TO_ONE, UNMEASURABLE, "the rows have time, level, msg, version"),
    "fluentd-envoy.json.log": (NINE_TO_ONE, UNMEASURABLE, "message, stream, time, kubernetes"),
    "jmeter.jtl": (NINE_TO_ONE, USAGE, "sample_variables=version"),
    # The order of sending, where the log has the ends.
    "caddy-slow-canary.json.log": (
        (*NINE_TO_ONE, "--time-column", "ts", "--label-column", "/resp_headers/X-Version/0"),
        PASS, "of 735 connections",
    ),
    "ingress-nginx-slow-canary.log": (
        (*NINE_TO_ONE, "--map", "127.0.0.1:18521=v1,127.0.0.1:18522=v2"), PASS, "v2 received",
    ),
    "nginx-without-msec.json.log": (NINE_TO_ONE, PASS, "(nginx)"),
    # What stands in front, between and around the rows.
    "traefik-stdout.json.log": (
        (*NINE_TO_ONE, "--map", "app@*=v1,app-canary@*=v2"), PASS, "13 line(s) are not of",
    ),
    "traefik-stdout.log": (
        (*NINE_TO_ONE, "--map", "http://127.0.0.1:18501=v1,http://127.0.0.1:18502=v2"),
        PASS, "19 line(s) are not of a request",
    ),
    "ingress-nginx-kubectl.log": ((*NINE_TO_ONE, *BY_PORT), PASS, "19 line(s)"),
    "istio-proxy-kubectl.log": (
        (*NINE_TO_ONE, "--map", "10.0.1.*=v1,10.0.2.*=v2"), INCONCLUSIVE, "2 line(s)",
    ),
    "kubectl-timestamps.log": (ONE_ADDRESS, INCONCLUSIVE, ALL_301),
    "kubectl-prefix.log": (ONE_ADDRESS, INCONCLUSIVE, ALL_301),
    "cri.log": (ONE_ADDRESS, INCONCLUSIVE, ALL_301),
    # Formats.
    "haproxy-syslog.log": (NINE_TO_ONE, INCONCLUSIVE, "11.3 % [7.6, 15.8] of 1 001"),
    "haproxy-stdout.log": (NINE_TO_ONE, INCONCLUSIVE, "11.3 % [7.6, 15.8] of 1 001"),
    "apache-access.log": ((*NINE_TO_ONE, "--log-format", APACHE), PASS, "(apache)"),
    "caddy.json.log": (NINE_TO_ONE, INCONCLUSIVE, "of 200 connections"),
    "loop.txt": (NINE_TO_ONE, INCONCLUSIVE, "12.1 % [8.3, 16.8] of 1 000"),
    "fortio-summary.json": (NINE_TO_ONE, USAGE, "a summary of fortio, which has"),
    "oha-summary.json": (NINE_TO_ONE, USAGE, "a summary of oha, which has no single requests"),
    # What stands for nothing, IPv6, times, and words of the remedies.
    "dash-is-no-label.csv": (NINE_TO_ONE, INCONCLUSIVE, "20 more gave no label"),
    "envoy-ipv6.log": (
        (*NINE_TO_ONE, "--map", "[2a02:cf40::7]:3000=v1,[2a02:cf40::9]:*=v2"), PASS, "v2 received",
    ),
    "times-of-psql.csv": (NINE_TO_ONE, INCONCLUSIVE, "of 199 connections"),
    "one-third-unlabelled.csv": (NINE_TO_ONE, FAIL, "--max-unlabelled"),
}  # fmt: skip


def messages(at, label, **more):
    return {"level": "info", "event": "answered", "timestamp": at, "label": label, **more}


SLOW = {
    "messages": (messages, ("--time-column", "timestamp"), INCONCLUSIVE),
    "messages of ECS": (
        lambda at, label: {"log.level": "INFO", "message": "x", "@timestamp": at, "label": label},
        ("--time-column", "@timestamp"), INCONCLUSIVE,
    ),
    "ends": (lambda at, label: {"endTime": at, "label": label}, ("--time-column", "endTime"),
             INCONCLUSIVE),
    "unsaid": (lambda at, label: {"time": at, "label": label, "took_ms": 1, "responseTime": 1},
               (), INCONCLUSIVE),
    "as sent, it is said": (messages, ("--time-column", "timestamp", "--duration-column", "none"),
                            FAIL),
    "nginx": (lambda at, label: {"@timestamp": at, "upstream_addr": label}, (), INCONCLUSIVE),
}  # fmt: skip
"""How a program writes that a request has ended, and whether a FAIL may come of that order."""


def judged(capsys, *arguments):
    code = main(["judge", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).split())


@pytest.mark.parametrize("name", MET)
def test_a_log_that_was_met_gets_the_right_verdict(capsys, name):
    options, expected, words = MET[name]

    code, said = judged(capsys, LOGS / f"{name}.xz", *options)

    assert (code, words in said) == (expected, True), said
    for option in ("--timeout", "longer", "--label "):  # of check alone
        assert option not in said


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_canary_in_the_order_of_the_ends_is_no_fail(tmp_path, capsys, kind):
    write, options, expected = SLOW[kind]
    labels = ["v2" if at % 10 == 3 else "v1" for at in range(1000)]
    ended = sorted((1.7e9 + at / 50 + (3.0 if label == "v2" else 0), label)
                   for at, label in enumerate(labels))  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(write(at, label)) + "\n" for at, label in ended))

    code, said = judged(capsys, path, *NINE_TO_ONE, *options)

    assert code == expected, said
    assert ("--duration-column" in said or "Order" in said) == (code == INCONCLUSIVE)
