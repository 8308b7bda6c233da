"""Lines around the rows of a log are passed over, and none of the rows can hide among them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from analysis import Evidence, Policy, Split, Verdict, decide, weigh
from analysis.data.batch import ABSENT
from sampler.base.errors import UsageError
from sampler.logs import Columns, ForeignLog, Reading
from tests.recordings.make import APACHE_FORMAT, HERE

OWN_LINES = [
    'I1130 07:32:21.119321       7 main.go:1] "Creating API client"',
    "[2026-11-30 07:32:20.123][1][info][main] [source/server/server.cc:1] starting",
    "2026-11-30T07:32:20.000000Z\tinfo\tEnvoy proxy is ready",
    "\x1b[90m2026-11-30T07:38:03Z\x1b[0m \x1b[32mINF\x1b[0m \x1b[1mServer stopped\x1b[0m",
    'time="2026-11-30T07:38:03Z" level=info msg="Configuration loaded"',
    '2026/11/30 07:32:27 [error] 31#31: *7 connect() failed, request: "GET / HTTP/1.1"',
    "[Mon Nov 30 07:32:27.123456 2026] [mpm_event:notice] [pid 7:tid 8] AH00489: resuming",
    "[NOTICE]   (7) : New worker (9) forked",
    "[     0.004s]  INFO ThreadId(01) linkerd2_proxy: release 2.210.0",
]  # fmt: skip
LOGS = {
    "envoy.log": {},
    "traefik.log": {},
    "traefik.json.log": {},
    "envoy.json.log": {"label": "version"},
    "haproxy.log": {},
    "nginx-weighbridge.log": {},
    "nginx-weighbridge.json.log": {},
    "caddy.json.log": {},
    "apache.log": {"log_format": APACHE_FORMAT},
    "alb.log": {},
}


def read(path, *, label="", **reading):
    log = ForeignLog(str(path), Reading(columns=Columns(label=label), **reading))
    counts: Counter[str | None] = Counter()
    for batch in log.batches():
        for code in batch.label.tolist():
            counts[None if code == ABSENT else batch.labels[code]] += 1
    return log.quality, counts


def lines_of(name):
    return (HERE / name).read_text("utf-8").splitlines()


def written(path, lines, end="\n"):
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


@pytest.mark.parametrize("own", OWN_LINES)
@pytest.mark.parametrize("name", ["envoy.log", "haproxy.log", "nginx-weighbridge.json.log"])
def test_what_programs_say_about_themselves_is_passed_over_and_counted(tmp_path, name, own):
    rows = lines_of(name)
    lines = ["", "----", "NGINX Ingress controller", own, *rows[:9], own, "  and so on", *rows[9:]]

    quality, counts = read(written(tmp_path / "log", lines))

    assert counts == read(HERE / name)[1]
    assert (quality.bad, quality.skipped) == (0, 5)
    assert "'NGINX Ingress controller'" in quality.tell_skipped()


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("spoil", ["cut", "strange", "of another program"])
def test_a_row_that_is_broken_is_a_request_without_a_label(tmp_path, name, spoil):
    rows = lines_of(name)
    before = read(HERE / name, **LOGS[name])[1]
    broken = {
        "cut": rows[20][: len(rows[20]) // 2],
        "strange": "v2 v2 v2",
        "of another program": '10.0.0.9 - - "GET / HTTP/1.1" 200 v2',
    }[spoil]

    quality, counts = read(
        written(tmp_path / "log", [*rows[:20], broken, *rows[21:]]), **LOGS[name]
    )

    assert (quality.bad, quality.skipped) == (1, 0)
    assert sum(counts.values()) == sum(before.values())


@pytest.mark.parametrize("spoil", ["cut", "strange", "after a message", "of another program"])
def test_no_broken_row_hides_a_version(tmp_path, spoil):
    """v2 has twice its share, and every other one of its rows is broken; the twin drops them."""
    row = '{:.3f} 0.000 {} 1 200 "127.0.0.1:51085" "{}"'
    remains = {
        "cut": [row[:25]],
        "strange": ["v2 v2 v2"],
        "after a message": [OWN_LINES[0], row[:25]],
        "of another program": ['10.0.0.9 - - "GET / HTTP/1.1" 200 v2'],
    }[spoil]
    is_second = np.random.default_rng(3).random(4000) < 0.18
    hides = is_second & (np.cumsum(is_second) % 2 == 0)
    verdicts = []
    for broken in (remains, []):
        lines = [
            line.format(1_795_467_721 + n / 1000, n, "v2" if is_second[n] else "v1")
            for n in range(len(hides))
            for line in (broken if hides[n] else [row])
        ]
        evidence = Evidence.start(Split.parse("v1=9,v2=1"), Policy())
        log = ForeignLog(str(written(tmp_path / "log", lines)), Reading())
        for batch in log.batches():
            evidence = weigh(evidence, batch)
        verdicts.append(decide(evidence).verdict)

    assert verdicts[0] is not Verdict.PASS
    assert verdicts[1] is Verdict.PASS


def test_a_message_hides_no_row_that_shows_a_trace_of_a_request(tmp_path):
    rows = lines_of("envoy.log")
    hidden = '"GET / HTTP/1.1" 200 - 0 29 0 0 "v2"'

    in_front, _ = read(written(tmp_path / "front", [hidden, *rows]))
    goes_on, _ = read(written(tmp_path / "on", [*rows[:9], OWN_LINES[1], hidden, *rows[9:]]))

    assert (in_front.bad, in_front.skipped) == (1, 0)
    assert (goes_on.bad, goes_on.skipped) == (1, 1)


def test_an_object_with_a_message_is_a_row_if_it_has_a_field_of_a_request(tmp_path):
    rows = lines_of("traefik.json.log")
    bare = json.dumps({"level": "info", "msg": "", "time": "2026-01-31T12:00:00Z"})
    row = json.dumps({"level": "info", "msg": "", "DownstreamStatus": 200})
    path = written(tmp_path / "log", [*rows[:9], bare, row, *rows[9:]])

    quality, counts = read(path)

    assert quality.skipped == 1
    assert sum(counts.values()) == len(rows) + 1


def test_a_table_of_objects_has_no_foreign_objects(tmp_path):
    row = '{"time":1.5,"label":"v1"}'
    odd = '{"level":"info","msg":"v2 answered"}'

    quality, counts = read(written(tmp_path / "a.jsonl", ["> app@1.0 start", row, odd, "v2", row]))

    assert (quality.skipped, quality.bad) == (1, 2)
    assert counts == {"v1": 2, None: 2}


@pytest.mark.parametrize(
    ("lines", "last", "is_left_out"),
    [
        (["time,label", "1.5,v1", "2.5,v12"], "3.5,v", True),
        (["time,label", "1.5,v1", "2.5,v12"], "3.5", True),
        (["time,label", "1.5,v1", "2.5,v12"], "3.5,v1", False),
        (["time,label", "1.5,v1", "2.5,v12"], "3.5,other", False),
        (["label,time", "v1,1700000000.5", "v1,1700000001.5"], "v1,1700", True),
        (['{"time":1.5,"label":"v1"}'], '{"time":2.5,"lab', True),
        (lines_of("envoy.log")[:9], lines_of("envoy.log")[9][:40], True),
    ],
)  # fmt: skip
def test_a_last_line_is_left_out_if_it_is_not_finished(tmp_path, lines, last, is_left_out):
    whole, _ = read(written(tmp_path / "whole", lines))
    cut, counts = read(written(tmp_path / "cut", [*lines, last], end=""))

    assert (cut.rows == whole.rows) == is_left_out
    assert cut.bad == 0
    assert any("is not finished" in note for note in cut.notes) == is_left_out
    assert None not in counts

    if is_left_out and "," not in last:
        assert read(written(tmp_path / "ended", [*lines, last]))[0].bad == 1


STAMP = "2026-11-30T07:32:00.123456789Z "


def docker(line):
    return json.dumps({"log": line + "\n", "stream": "stdout", "time": STAMP.strip()})


ENVELOPES = {
    "kubectl --timestamps": lambda line: STAMP + line,
    "kubectl --prefix": lambda line: f"[pod/app-7d4f-abcde/proxy] {line}",
    "kubectl --prefix --timestamps": lambda line: f"[pod/app-7d4f-abcde/proxy] {STAMP}{line}",
    "CRI": lambda line: f"{STAMP}stdout F {line}",
    "Docker": docker,
    "compose": lambda line: f"proxy-1  | {line}",
    "compose in colours": lambda line: f"\x1b[36mproxy-1  | \x1b[0m{line}",
    "compose --timestamps": lambda line: f"proxy-1  | {STAMP}{line}",
    "stern": lambda line: f"app-v1-6c7b9f8d4-x2k9a proxy {line}",
    "syslog": lambda line: f"Nov 30 07:32:27 lb1 proxy[21627]: {line}",
    "syslog with a priority": lambda line: f"<134>Nov  3 07:32:27 lb1 proxy: {line}",
    "syslog without a host": lambda line: f"<134>Nov 30 07:32:27 haproxy[7]: {line}",
    "journalctl -o short-iso": lambda line: f"2026-11-30T07:32:27+0000 lb1 proxy[7]: {line}",
    "logcli": lambda line: json.dumps({"labels": {"app": "a"}, "line": line, "timestamp": STAMP}),
    "RFC 5424": lambda line: f"<134>1 2026-11-30T07:32:27.1Z lb1 proxy 7 - - {line}",
    "journald": lambda line: json.dumps({"MESSAGE": line, "_PID": "7"}),
    "fluentd": lambda line: (
        "2026-11-30 07:32:00.123456789 +0000 kube.app: "
        + json.dumps({"log": line, "stream": "stdout", "kubernetes": {"pod": "app"}})
    ),
    "Docker in CRI": lambda line: f"{STAMP}stdout F {docker(line)}",
    "kubectl in Docker": lambda line: docker(STAMP + line),
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize(
    "name", ["envoy.log", "traefik.json.log", "haproxy.log", "nginx-weighbridge.log", "k6.json.gz"]
)
def test_lines_are_taken_out_of_their_envelopes(tmp_path, envelope, name):
    more = {"metric": "answers"} if name.startswith("k6") else {}
    data = (HERE / name).read_bytes()
    rows = (gzip.decompress(data) if name.endswith(".gz") else data).decode().splitlines()

    quality, counts = read(written(tmp_path / "log", map(ENVELOPES[envelope], rows)), **more)

    assert counts == read(HERE / name, **more)[1]
    assert (quality.bad, quality.skipped) == (0, 0)


@pytest.mark.parametrize("envelope", ["kubectl --timestamps", "compose", "Docker"])
def test_tables_are_taken_out_of_their_envelopes_too(tmp_path, envelope):
    table = ["Listening on 8080", "time,label", "1.5,v1", "2.5,v2"]
    objects = ["npm start", '{"time":1.5,"label":"v1"}', '{"time":2.5,"label":"v2"}']

    for lines in (table, objects):
        quality, counts = read(written(tmp_path / "log", map(ENVELOPES[envelope], lines)))
        assert counts == {"v1": 1, "v2": 1}
        assert quality.skipped == 1


def test_a_line_that_a_runtime_cut_into_parts_is_one(tmp_path):
    first, *rows = lines_of("envoy.log")
    cri = [f"{STAMP}stdout P {first[:50]}", f"{STAMP}stdout F {first[50:]}"]
    cut = [
        json.dumps({"log": part, "stream": "stdout", "time": "t"})
        for part in (first[:50], first[50:] + "\n")
    ]

    for parts, name in ((cri, "CRI"), (cut, "Docker")):
        lines = [*parts, *map(ENVELOPES[name], rows)]
        quality, counts = read(written(tmp_path / "log", lines))
        assert counts == read(HERE / "envoy.log")[1]
        assert quality.bad == 0


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, "zstd"])
def test_what_a_log_is_packed_with_is_told_by_its_first_bytes(tmp_path, pack):
    text = b"time,label\n" + b"".join(b"%d.5,v%d\n" % (at, at % 7) for at in range(40_000))
    if pack == "zstd":

        def pack(data):
            return pa.Codec("zstd").compress(data, asbytes=True)

    path = tmp_path / "log.csv"
    path.write_bytes(pack(text[:300_000]) + pack(text[300_000:]))  # as two files put together

    _, counts = read(path)

    assert sum(counts.values()) == 40_000


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04", "zip archive"), (b"\x04\x22\x4d\x18", "lz4"), (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"a" * 257 + b"ustar\x0000", "tar archive"), (b"<?xml?>\n<testResults>", "JMeter's XML"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(tmp_path, start, words):
    path = tmp_path / "log"
    path.write_bytes(start + b"\0" * 20)

    with pytest.raises(UsageError, match=words) as caught:
        read(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("lines", "words", "hint"),
    [
        (["    900 v1", "    100 v2"], "holds counts", "neither sorted nor counted"),
        (["900 v1", "1000 v2", "1001 v1"] * 3, "in no format that is known here", "docs/judge.md"),
        (["HTTP/1.1 200 OK", "X-Version: v1", "", "ok"] * 3, "curl -i prints", "jq -r .label"),
        (['{"label": "v1"}{"label": "v2"}'], "several JSON objects in a line", "jq -c . "),
        (["#Version: 1.0", "#Fields: date time sc-status"], "W3C's extended", "sed -n"),
        (['2026/01/31 12:00:00.1\tINFO\thttp.log.access.log0\thandled request\t{"status": 200}'],
         "Caddy for a console", "format json"),
        (["Running 10s test @ http://127.0.0.1/", "  2 threads"], "in no format", "time,label"),
        (['{"schema": "weighbridge.report/1", "observed": {}}'], "weighbridge", "single requests"),
        (["x,label"] + ["1;2,v1"] * 9, "9 of 9 lines cannot be read", "the right file"),
    ],
)  # fmt: skip
def test_what_holds_no_requests_is_told_with_what_to_do(tmp_path, lines, words, hint):
    path = written(tmp_path / "log", lines)
    reading = {"time": "x"} if lines[0] == "x,label" else {}

    log = ForeignLog(str(path), Reading(columns=Columns(**reading)))

    with pytest.raises(UsageError) as caught:
        log.quality.require(0.01, f"log of {sum(map(len, log.batches()))}")
    assert words in str(caught.value)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("row", "time", "duration", "doubt"),
    [
        ({"label": "v1"}, "finished_at", "", "says when requests ended"),
        ({"label": "v1"}, "requestEnd", "", "says when requests ended"),
        ({"label": "v1", "level": "info", "msg": "handled"}, "ts", "", "messages of a program"),
        ({"label": "v1", "level": "info", "msg": "handled"}, "ts", None, ""),
        ({"label": "v1"}, "finished_at", None, ""),
        ({"label": "v1"}, "sent_at", "", ""),
        ({"label": "v1"}, "send", "", ""),
        ({"label": "v1"}, "time", "", ""),
    ],
)
def test_times_that_are_not_those_of_sending_leave_the_order_in_doubt(
    tmp_path, row, time, duration, doubt
):
    path = written(tmp_path / "a.jsonl", [json.dumps({**row, time: at + 0.5}) for at in range(5)])
    log = ForeignLog(str(path), Reading(columns=Columns(time=time, duration=duration)))

    list(log.batches())

    assert doubt in log.quality.doubt
    assert bool(doubt) == bool(log.quality.doubt)


def test_what_jmeter_puts_for_a_version_it_did_not_get_is_no_label(tmp_path):
    header = "timeStamp,elapsed,label,responseCode,responseMessage,version"
    failed = "1769860800001,5,GET,Non HTTP response code: java.net.SocketException,reset,none"
    rows = [header, "1769860800000,5,GET,200,OK,v1", failed, "1769860800002,5,GET,503,No,none"]

    _, counts = read(written(tmp_path / "a.jtl", rows), label="version")

    assert counts == {"v1": 1, None: 1, "none": 1}


def test_a_time_may_have_a_decimal_comma(tmp_path):
    _, counts = read(written(tmp_path / "a.csv", ["time;label", "1769860800,25;v1", "1,5;v2"]))

    assert counts == {"v1": 1, "v2": 1}


@pytest.mark.parametrize("word", ["-", "NULL", "null", "N/A", "None", "<nil>", "\\N"])
def test_words_for_nothing_are_no_labels(tmp_path, word):
    rows = ["time,label,connection", "1.5,v1,a", f"2.5,{word},b", f"3.5,v1,{word}", "4.5,?,c"]

    _, counts = read(written(tmp_path / "a.csv", rows), renames=(("?", ""), ("\\?", "")))

    assert counts == {"v1": 2, None: 2}


@pytest.mark.parametrize(
    ("column", "unit", "values"),
    [
        ("took_ms", "auto", "500"), ("took", "ms", "500"), ("duration", "auto", "0.5"),
        ("durationNs", "auto", "5e8"), ("elapsed_us", "auto", "500000"), ("rt", "auto", "500ms"),
        ("rt", "auto", "0.5s"),
    ],
)  # fmt: skip
def test_a_duration_is_taken_off_the_time_of_the_end(tmp_path, column, unit, values):
    rows = [f"time,label,{column}", "10.1,v1,0", f"10.3,v2,{values}"]
    reading = Reading(columns=Columns(duration=column), duration_unit=unit)

    log = ForeignLog(str(written(tmp_path / "a.csv", rows)), reading)
    (batch,) = log.batches()

    assert [batch.labels[code] for code in batch.label.tolist()] == ["v2", "v1"]
    assert batch.sent_ns.tolist() == [0, pytest.approx(300_000_000, abs=10)]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path, kind):
    rows = {
        "jsonl": ['{"ts":1.5,"version":"v1","took_ms":3}'] * 3,
        "csv": ["ts,version,took_ms", "1.5,v1,3"],
    }[kind]
    path = written(tmp_path / f"a.{kind}", rows)

    for columns in (Columns(label="version"), Columns(time="at", label="version")):
        with pytest.raises(UsageError, match="'ts', 'version', 'took_ms'") as caught:
            list(ForeignLog(str(path), Reading(columns=columns)).batches())
        assert "--time-column" in str(caught.value.hint)
