"""Files that the tools themselves wrote (tests/recordings/make.py) are read for what they say."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter

import numpy as np
import pytest

from analysis.data.batch import ABSENT, Outcome
from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule
from sampler.logs import KINDS, Columns, ForeignLog, Reading
from sampler.logs.formats import RECOMMENDED
from sampler.logs.templates import compile_template
from tests.recordings.make import APACHE_FORMAT, HERE
from tests.recordings.make import NGINX_FORMATS as RECORDED_FORMATS


class Seen:
    """All rows of a log, as plain lists."""

    def __init__(self, name, **reading):
        columns = {part: reading.pop(part) for part in ("time", "label", "connection")
                   if part in reading}  # fmt: skip
        self.log = ForeignLog(str(HERE / name), Reading(columns=Columns(**columns), **reading))
        batches = list(self.log.batches())
        self.labels = [
            None if code == ABSENT else batch.labels[code]
            for batch in batches
            for code in batch.label.tolist()
        ]
        self.sent = np.concatenate([batch.sent_ns for batch in batches]).tolist()
        self.status = np.concatenate([batch.status for batch in batches]).tolist()
        self.outcome = np.concatenate([batch.outcome for batch in batches]).tolist()
        self.ordinal = np.concatenate([batch.ordinal for batch in batches]).tolist()
        self.connection = np.concatenate([batch.connection for batch in batches]).tolist()

    @property
    def counts(self):
        return Counter(self.labels)

    @property
    def notes(self):
        return " ".join(self.log.quality.notes)


def text_of(name):
    path = HERE / name
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    return data.decode()


def objects_of(name):
    return [json.loads(line) for line in text_of(name).splitlines()]


RECORDINGS = {
    "nginx-weighbridge.log": ("nginx", {}),
    "nginx-weighbridge.json.log": ("nginx", {}),
    "nginx-combined.log": ("nginx", {"label": "status"}),
    "envoy.log": ("envoy", {}),
    "envoy.json.log": ("envoy", {"label": "version"}),
    "traefik.log": ("traefik", {}),
    "traefik.json.log": ("traefik", {}),
    "haproxy.log": ("haproxy", {}),
    "apache.log": ("apache", {"log_format": APACHE_FORMAT}),
    "caddy.json.log": ("caddy", {}),
    "alb.log": ("alb", {}),
    "linkerd.log": ("linkerd", {}),
    "linkerd.json.log": ("linkerd", {}),
    "jmeter.jtl": ("jmeter", {"label": "version"}),
    "jmeter-2.13.jtl": ("jmeter", {"label": "version"}),
    "oha.csv": ("oha", {"label": "status"}),
    "fortio.json.log": ("fortio", {"label": "details"}),
    "loop.txt": ("loop", {}),
    "hey.csv": ("hey", {"label": "status-code"}),
    "k6.json.gz": ("k6", {"metric": "answers"}),
    "k6.csv.gz": ("k6", {"metric": "answers"}),
    "k6-seconds.csv.gz": ("k6", {"metric": "answers"}),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recording_is_recognised_and_has_no_bad_line(name):
    kind, options = RECORDINGS[name]

    guessed, told = Seen(name, **options), Seen(name, kind=kind, **options)

    assert guessed.log.quality.bad == 0
    assert guessed.log.quality.label.endswith(f"({kind})")
    assert (guessed.labels, guessed.sent) == (told.labels, told.sent)
    assert guessed.sent == sorted(guessed.sent)
    assert guessed.sent[0] == 0


def test_every_kind_but_vegeta_has_a_recording():
    kinds = {kind for kind, _ in RECORDINGS.values()}

    assert kinds | {"csv", "jsonl", "parquet", "vegeta"} == set(KINDS)


def test_nginx_says_the_same_in_text_and_in_json():
    text, as_json = Seen("nginx-weighbridge.log"), Seen("nginx-weighbridge.json.log")

    assert vars(text).keys() == vars(as_json).keys()
    for part in ("labels", "sent", "status", "ordinal", "connection"):
        assert getattr(text, part) == getattr(as_json, part)


def test_nginx_lines_are_requests_on_their_connections_with_the_version_of_the_header():
    lines = [line.split() for line in text_of("nginx-weighbridge.log").splitlines()]
    seen = Seen("nginx-weighbridge.log")

    versions = Counter(line[-1].strip('"') for line in lines)
    assert seen.counts == {"v1": versions["v1"], "v2": versions["v2"], None: versions["-"]}
    assert Counter(seen.status) == Counter(int(line[4]) for line in lines)
    assert seen.ordinal.count(0) == len({line[2] for line in lines})
    begun = sorted(round((float(line[0]) - float(line[1])) * 1000) for line in lines)
    assert [round(sent / 1e6) for sent in seen.sent] == [at - begun[0] for at in begun]


def test_nginx_failures_without_a_version_are_missing_labels():
    seen = Seen("nginx-weighbridge.log")

    failed = [seen.outcome[at] for at, label in enumerate(seen.labels) if label is None]
    assert failed
    assert set(failed) == {Outcome.UNLABELLED}
    assert {seen.status[at] for at, label in enumerate(seen.labels) if label is None} == {502}


def test_the_combined_format_has_no_label_and_says_what_else_it_lacks():
    with pytest.raises(UsageError, match="do not show which version answered"):
        Seen("nginx-combined.log")
    seen = Seen("nginx-combined.log", label="status")

    assert seen.counts == Counter(map(str, Seen("nginx-weighbridge.log").status))
    for words in ("neither when they were sent nor how long they took", "names no connections"):
        assert words in seen.notes


def test_envoy_says_the_same_in_its_default_text_and_in_json():
    clusters = {
        row["upstream_host"]: row["upstream_cluster"] for row in objects_of("envoy.json.log")
    }

    text = Seen("envoy.log", renames=tuple(clusters.items()))
    as_json = Seen("envoy.json.log", label="upstream_cluster")

    assert text.labels == as_json.labels
    assert text.status == as_json.status
    assert text.counts == Counter(row["upstream_cluster"] for row in objects_of("envoy.json.log"))
    assert text.ordinal.count(0) == len(text.labels)
    assert as_json.ordinal.count(0) == len(
        {r["connection_id"] for r in objects_of("envoy.json.log")}
    )


def test_envoy_answers_of_its_own_carry_no_version():
    seen = Seen("envoy.json.log", label="version")

    assert seen.counts[None] == sum(row["version"] is None for row in objects_of("envoy.json.log"))
    assert seen.counts[None] > 0


def test_traefik_rows_are_requests_of_services_on_the_connections_of_clients():
    rows = objects_of("traefik.json.log")
    seen = Seen("traefik.json.log", renames=(("v1@*", "v1"), ("v2@*", "v2")))

    services = Counter(row.get("ServiceName", "").partition("@")[0] for row in rows)
    assert (seen.counts["v1"], seen.counts["v2"]) == (services["v1"], services["v2"])
    assert seen.ordinal.count(0) == len({row["ClientAddr"] for row in rows})
    assert Counter(seen.status) == Counter(row["DownstreamStatus"] for row in rows)


def test_traefik_common_log_has_the_address_and_numbers_the_requests_as_they_came():
    seen = Seen("traefik.log")

    lines = text_of("traefik.log").splitlines()
    found = [re.search(r'"-" "[^"]*"? ?.* (\d+) "[^"]*" "(-|http://[^"]+)" \d+ms$', line)
             for line in lines]  # fmt: skip
    urls = {int(each[1]): None if each[2] == "-" else each[2] for each in found if each}
    assert seen.counts == Counter(urls.values())
    assert seen.counts[None] > 0  # Traefik answered these before it knew the route
    # All stand in few seconds; within each, they are in the order of their numbers.
    assert [label for label in seen.labels if label] == [
        urls[number] for number in sorted(urls) if urls[number]
    ]


def test_haproxy_rows_are_requests_of_servers_on_the_connections_of_clients():
    rows = [line.split() for line in text_of("haproxy.log").splitlines()]
    seen = Seen("haproxy.log")

    assert seen.counts == Counter(row[3].partition("/")[2] for row in rows)
    assert seen.ordinal.count(0) == len({row[0] for row in rows})
    assert Counter(seen.status) == Counter(int(row[5]) for row in rows)


def test_apache_is_read_by_its_own_notation_with_escaped_quotes():
    rows = [line.rsplit(" ", 3) for line in text_of("apache.log").splitlines()]
    seen = Seen("apache.log", log_format=APACHE_FORMAT)
    by_worker = Seen(
        "apache.log", log_format=APACHE_FORMAT, label="%{BALANCER_WORKER_NAME}e"
    )  # as httpd.conf has it

    assert seen.counts == Counter(None if row[1] == "-" else row[1] for row in rows)
    assert by_worker.counts == Counter(row[2] for row in rows)
    assert "whole seconds" in seen.notes


def test_caddy_rows_were_sent_as_long_before_their_time_as_they_took():
    rows = objects_of("caddy.json.log")
    seen = Seen("caddy.json.log")

    assert seen.counts == Counter(
        (row["resp_headers"].get("X-Version") or [None])[0] for row in rows
    )
    begun = sorted(row["ts"] - row["duration"] for row in rows)
    assert [sent / 1e9 for sent in seen.sent] == pytest.approx(
        [at - begun[0] for at in begun], abs=1e-5
    )


def test_a_load_balancer_of_aws_has_the_time_of_the_request_and_the_target_group():
    seen = Seen("alb.log")

    assert set(seen.counts) == {"app-v1", "app-v2", None}
    assert seen.sent == [10_000_000 * place for place in range(30)]
    assert seen.status.count(503) == 1


@pytest.mark.parametrize("name", ["linkerd.log", "linkerd.json.log"])
def test_linkerd_is_told_apart_by_the_pod_that_kubectl_names(name):
    seen = Seen(name, renames=(("app-v1-*", "v1"), ("app-v2-*", "v2")))

    pods = re.findall(r"\[pod/app-(v\d)-", text_of(name))[1:]
    assert seen.counts == Counter(pods)
    assert seen.labels == pods  # they stand as they came
    assert seen.log.quality.skipped == 1


def test_jmeters_rows_are_what_its_server_counted_and_the_rest_has_no_version():
    seen = Seen("jmeter-2.13.jtl", label="version")

    assert seen.counts == {"v1": 43, "v2": 4, None: 13}
    assert Counter(seen.status) == {200: 47, 503: 1, 0: 12}


@pytest.mark.parametrize("name", ["jmeter.jtl", "oha.csv", "fortio.json.log"])
def test_load_generators_say_when_a_request_was_sent(name):
    seen = Seen(name, **RECORDINGS[name][1])

    assert seen.sent == pytest.approx([10_000_000 * place for place in range(len(seen.sent))])
    assert "came after later ones" in seen.notes


def test_a_loop_may_be_grepped_for_a_header(tmp_path):
    place = tmp_path / "loop.txt"
    place.write_bytes(b"X-Version: v1\r\nx-version: v2\r\n" * 9)

    log = ForeignLog(str(place), Reading(columns=Columns(label="x-version")))
    (batch,) = log.batches()

    assert batch.labels == ("v1", "v2")
    assert log.quality.bad == 0


def test_bodies_on_one_line_without_any_time_are_a_loop_too(tmp_path):
    place = tmp_path / "loop.txt"
    place.write_text('{"label":"v1","host":"a"}\n{"label":"v2","host":"b"}\n', "utf-8")

    log = ForeignLog(str(place))
    (batch,) = log.batches()

    assert batch.labels == ("v1", "v2")
    assert "has no times" in log.quality.doubt
    place.write_text('{"label":"v1","sent_at":1}\n', "utf-8")
    with pytest.raises(UsageError, match="'label', 'sent_at'"):
        list(ForeignLog(str(place)).batches())


def test_a_request_of_the_loop_that_failed_is_a_row_without_a_label():
    seen = Seen("loop.txt")

    assert seen.counts[None] == 1
    assert sum(seen.counts.values()) == 41


@pytest.mark.parametrize("name", ["envoy.log", "traefik.log"])
def test_what_a_stranger_puts_between_quotes_moves_no_field(tmp_path, name):
    bad = '" 200 - 0 29 0 0 "-" "x" 7 "y" "10.6.6.6:80" 1ms "'
    lines = text_of(name).splitlines()
    place = tmp_path / name
    old, new = (
        ('"a "quoted" one"', f'"{bad}"') if name == "envoy.log" else ('"-" "-" ', f'"-" "{bad}" ')
    )
    place.write_text("\n".join(line.replace(old, new, 1) for line in lines), encoding="utf-8")

    log = ForeignLog(str(place))
    labels = {label for batch in log.batches() for label in batch.labels}

    assert labels == set(Seen(name).labels) - {None}
    assert bad in place.read_text()


def test_k6_points_are_requests_sent_before_their_answers():
    points = [row for row in objects_of("k6.json.gz") if row["type"] == "Point"]
    answers = [row["data"] for row in points if row["metric"] == "answers"]
    seen = Seen("k6.json.gz", metric="answers")

    labels = Counter(row["tags"].get("label") or None for row in answers)
    assert seen.counts == labels
    assert Counter(seen.status) == Counter(int(row["tags"]["status"]) for row in answers)
    spread = max(seen.sent) / 1e6
    begun = [
        float(row["time"][17:-1]) * 1000 - row["value"] for row in answers
    ]  # all within a minute
    assert spread == pytest.approx(max(begun) - min(begun), abs=0.01)


@pytest.mark.parametrize("name", ["k6.csv.gz", "k6-seconds.csv.gz"])
def test_k6_csv_has_its_tags_among_the_extra_ones(name):
    seen = Seen(name, metric="answers")

    found = Counter(re.findall(r"^answers,.*,(?:label=(v\d)?)?,$", text_of(name), re.MULTILINE))
    assert seen.counts == Counter({label or None: count for label, count in found.items()})
    assert ("only in which second" in seen.notes) == ("seconds" in name)


def test_k6_requests_that_the_script_forgot_are_missing_labels(tmp_path):
    lines = text_of("k6.json.gz").splitlines()
    kept = [line for line in lines if '"metric":"answers"' not in line or '"label":"v1"' in line]
    place = tmp_path / "k6.json"
    place.write_text("\n".join(kept), encoding="utf-8")

    log = ForeignLog(str(place), Reading(metric="answers"))
    rows = sum(len(batch) for batch in log.batches())

    answered = Seen("k6.json.gz", metric="answers")
    assert rows == len(answered.labels)
    gone = rows - answered.counts["v1"]
    assert f"{gone} requests (http_reqs) have no point of answers" in " ".join(log.quality.notes)


def test_k6_without_a_label_is_told_how_to_record_one():
    seen = Seen("k6.json.gz")

    assert seen.counts == {None: 120}
    assert "answers.add(" in seen.log.quality.hint


@pytest.mark.parametrize("name", ["k6.json.gz", "k6.csv.gz"])
def test_a_metric_that_k6_did_not_record_is_refused_with_those_that_it_did(name):
    with pytest.raises(UsageError, match="no point of the metric 'replies'") as caught:
        Seen(name, metric="replies")

    assert "answers, " in str(caught.value.hint)


def test_hey_has_no_label_unless_the_status_is_one():
    with pytest.raises(UsageError, match="does not show the version") as caught:
        Seen("hey.csv")
    assert "--label-column status-code" in str(caught.value.hint)

    rows = [line.split(",") for line in text_of("hey.csv").splitlines()[1:]]
    seen = Seen("hey.csv", label="status-code")
    assert seen.counts == Counter(row[6] for row in rows)
    offsets = sorted(float(row[7]) for row in rows)
    assert [sent / 1e9 for sent in seen.sent] == pytest.approx([at - offsets[0] for at in offsets])
    assert "leaves failed requests out" in seen.notes


def vegeta_line(at, body=b"", code=200, error="", **more):
    encoded = base64.b64encode(body).decode()
    return json.dumps(
        {
            "attack": "", "seq": at, "code": code,
            "timestamp": f"2026-01-31T12:00:{at:02}.123456789+01:00", "latency": 1_500_000,
            "bytes_out": 0, "bytes_in": len(body), "error": error, "body": encoded,
            "method": "GET", "url": "http://127.0.0.1/", **more,
        }
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["/label", "header:x-version", "regex:v[0-9]"])
def test_vegeta_labels_come_from_the_recorded_answer(tmp_path, rule):
    place = tmp_path / "hits.json"
    hits = [
        vegeta_line(2, b'{"label":"v2"}', headers={"X-Version": ["v2"]}),
        vegeta_line(1, b'{"label":"v1"}', headers={"X-Version": ["v1"]}),
        vegeta_line(3, b"oops", 502, "502 Bad Gateway", headers={}),
        vegeta_line(4, code=0, error="Get: dial tcp 127.0.0.1:80: connect: connection refused"),
        vegeta_line(5, code=0, error="Get: context deadline exceeded (Client.Timeout exceeded)"),
    ]
    place.write_text("\n".join(hits) + "\n", encoding="utf-8")

    log = ForeignLog(str(place), Reading(rule=LabelRule.parse(rule)))
    (batch,) = log.batches()

    assert [batch.labels[code] if code >= 0 else None for code in batch.label.tolist()] == [
        "v1", "v2", None, None, None,
    ]  # fmt: skip
    assert batch.outcome.tolist()[2:] == [
        Outcome.UNLABELLED, Outcome.CONNECT_FAILED, Outcome.TIMEOUT,
    ]  # fmt: skip
    assert batch.status.tolist() == [200, 200, 502, 0, 0]
    assert log.quality.bad == 0


def test_lines_are_read_as_the_encoder_of_vegeta_writes_them(tmp_path):
    """Field by field as ``lib/results_easyjson.go`` does: a nil body or header is ``null``."""
    place = tmp_path / "hits.bin"
    fields = (
        '{{"attack":"a","seq":{},"code":{},"timestamp":"{}","latency":1500000,"bytes_out":0,'
        '"bytes_in":14,"error":"{}","body":{},"method":"GET","url":"http://app/","headers":{}}}'
    )
    refused = r"Get \"http://app/\": dial tcp 10.0.0.1:80: connect: connection refused"
    body = f'"{base64.b64encode(b"""{"label":"v1"}""").decode()}"'
    lines = [
        fields.format(0, 200, "2026-01-31T12:00:00Z", "", body, '{"X-Version":["v1"]}'),
        fields.format(1, 0, "2026-01-31T12:00:00.5Z", refused, "null", "null"),
        fields.format(2, 200, "2026-01-31T12:00:01.000000001Z", "", '""', "{}"),
    ]
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")

    log = ForeignLog(str(place))
    (batch,) = log.batches()

    assert log.quality.bad == 0
    assert batch.labels == ("v1",)
    assert batch.outcome.tolist() == [Outcome.OK, Outcome.CONNECT_FAILED, Outcome.UNLABELLED]
    assert batch.sent_ns.tolist() == [0, 500_000_000, 1_000_000_001]


def test_a_body_that_is_no_base64_is_a_bad_line(tmp_path):
    place = tmp_path / "hits.json"
    broken = json.loads(vegeta_line(2)) | {"body": "???"}
    place.write_text(f"{vegeta_line(1, b'{}')}\n{json.dumps(broken)}\n", encoding="utf-8")

    log = ForeignLog(str(place), Reading(rule=LabelRule.parse("status")))
    list(log.batches())

    assert log.quality.bad == 0  # the status needs no body
    log = ForeignLog(str(place), Reading(rule=LabelRule.parse("regex:{}")))
    list(log.batches())
    assert log.quality.bad == 1


def test_a_log_format_is_read_as_nginx_writes_it():
    parse, names = compile_template(
        '$remote_addr [${time_local}] "$request" $upstream_addr $status'
    )

    match = parse(
        r'::1 [30/Nov/2026:07:32:27 +0000] "GET /\x22 x" 10.0.0.1:80, 10.0.0.2:80 : - 200'
    )

    assert match is not None
    assert names == ("remote_addr", "time_local", "request", "upstream_addr", "status")
    assert match.groups() == (
        "::1",
        "30/Nov/2026:07:32:27 +0000",
        r"GET /\x22 x",
        "10.0.0.1:80, 10.0.0.2:80 : -",
        "200",
    )


@pytest.mark.parametrize("text", ["no variable", "$a$b", "${a}${b}"])
def test_a_log_format_that_cannot_be_read_back_is_refused(text):
    with pytest.raises(UsageError, match="--log-format"):
        compile_template(text)


def test_of_several_upstream_servers_the_first_one_was_drawn(tmp_path):
    place = tmp_path / "access.log"
    place.write_text('1.000 0.000 1 1 200 "10.0.0.1:80, 10.0.0.2:80" "-"\n', encoding="utf-8")

    log = ForeignLog(str(place), Reading(columns=Columns(label="$upstream_addr")))
    (batch,) = log.batches()

    assert batch.labels == ("10.0.0.1:80",)


def test_istio_text_has_the_cluster_and_the_client(tmp_path):
    place = tmp_path / "istio.log"
    line = (
        '[2026-01-31T12:00:00.{at:03}Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 29 1 1 "-" '
        '"curl" "id" "app" "10.0.0.{at}:80" outbound|80|v{at}|app.default.svc.cluster.local '
        "10.0.0.9:5{at} 10.0.0.8:80 10.0.0.7:4{at} - default\n"
    )
    place.write_text("".join(line.format(at=at) for at in (2, 1)), encoding="utf-8")

    log = ForeignLog(
        str(place),
        Reading(
            columns=Columns(label="upstream_cluster"),
            renames=(("*|v1|*", "v1"), ("*|v2|*", "v2")),
        ),
    )
    (batch,) = log.batches()

    assert [batch.labels[code] for code in batch.label.tolist()] == ["v1", "v2"]
    assert log.quality.bad == 0


def test_a_request_that_ended_on_a_whole_second_is_sent_before_it_too(tmp_path):
    place = tmp_path / "access.log"
    line = '{at} {took} {at} 1 200 "10.0.0.1:80" "v1"\n'
    place.write_text(
        line.format(at="9.500", took="0.100") + line.format(at="10.000", took="2.000"), "utf-8"
    )

    (batch,) = ForeignLog(str(place)).batches()

    assert batch.sent_ns.tolist() == [0, 1_400_000_000]


@pytest.mark.parametrize("name", ["hey.csv", "k6.csv.gz", "traefik.log"])
def test_without_a_time_rows_are_taken_as_they_stand(name):
    kind, options = RECORDINGS[name]

    seen = Seen(name, kind=kind, time=None, **options)

    assert set(seen.sent) == {0}
    assert seen.counts == Seen(name, kind=kind, **options).counts


@pytest.mark.parametrize("columns", [{"time": "offset"}, {"connection": "offset"}])
def test_a_column_that_hey_does_not_have_to_be_told_is_refused(columns):
    with pytest.raises(UsageError, match="has its own field"):
        Seen("hey.csv", label="status-code", **columns)


def test_the_log_format_of_the_documentation_is_the_one_that_is_recognised_and_recorded():
    page = (HERE.parents[1] / "docs" / "judge.md").read_text("utf-8")

    for text in (page, RECORDED_FORMATS):
        found = re.search(r"log_format weighbridge ('.*?');", text, re.DOTALL)
        assert found is not None
        assert "".join(re.findall(r"'([^']*)'", found[1])) == RECOMMENDED
