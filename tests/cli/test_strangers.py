"""What a stranger wrote acts neither on a terminal nor in the log of a CI, however it came."""

from __future__ import annotations

import json
import re

import pytest

from sampler.cli import entry
from sampler.cli.messages import say_error, say_line, say_warning
from sampler.cli.streams import command, guarded, say
from tests.answering import answering, response

pytestmark = pytest.mark.in_process

COMMANDS = (
    "::set-output name=verdict::PASS",
    " \t ::stop-commands::zz",
    "x\n::add-mask::FAIL",
    "v2##[error]x",
    "##vso[task.complete]",
    "section_start:1:x\r\x1b[0K",
)
STEERING = ("\x1b[2J\x1b[32mPASS", "\x9b2J", "\u202eSSAP", "a\u200bb", "\x7f\x08")
HOSTILE = (*COMMANDS, *STEERING)
ACTS = re.compile(
    r"^\s*::[a-z-]+[ :]|##\w*\[|section_(?:start|end):"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]",
    re.MULTILINE,
)
URL = "http://127.0.0.1:9/"


def manifest(name):
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}})


@pytest.mark.parametrize("poison", HOSTILE)
@pytest.mark.parametrize(
    "arguments",
    [
        "check {url} --expect {}=1",
        "check {url} --expect {}",
        "check http://{}/ --expect v1=1 --max-time 1s",
        "check {url} --expect v1=1 --header {}",
        "check {url} --expect v1=1 --label {}",
        "check {url} --expect v1=1 --resolve {}",
        "check {url} --expect v1=1 --tolerance {}",
        "check {url} --expect v1=1 --json {}/x",
        "check {url} --expect v1=1 --config {}",
        "check {url} --expect v1=1 --cacert {}",
        "check {url} --{}",
        "plan --expect v1=9,{}=1",
        "judge {} --expect v1=1",
        "report {}",
        "expect --manifests {} --service x",
        "expect --manifests manifests.yaml --service {}",
        "rollout status --manifests {} --stable a --canary b",
        "rollout {}",
        "{}",
    ],
)
def test_no_error_acts(tmp_path, monkeypatch, capfd, arguments, poison):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests.yaml").write_text(manifest(poison), encoding="utf-8")
    words = [each.format(poison, url=URL) for each in arguments.split(" ")]

    entry.main(words)

    told = capfd.readouterr()
    assert told.err + told.out
    assert not ACTS.search(told.err + told.out), told


@pytest.mark.parametrize("poison", COMMANDS)
@pytest.mark.parametrize("documents", [[], ["--json", "-"], ["--markdown", "-"], ["--html", "-"]])
def test_no_label_acts(weighbridge, poison, documents):
    label = json.dumps(poison)[1:-1]
    with answering(lambda number: response("200 OK", label if number % 2 else "v1")) as url:
        done = weighbridge("check", url, "--expect", "v1=9,v2=1", "--replica", "none", *documents)

    assert done.returncode == 1
    assert not ACTS.search(done.stdout + done.stderr)
    if "--json" in documents:
        assert poison in json.loads(done.stdout)["observed"]["counts"]


@pytest.mark.parametrize("poison", HOSTILE)
def test_no_message_acts(capfd, poison):
    with guarded():
        say_error(poison, poison)
        say_warning(poison, poison)
        say_line(poison)

    told = capfd.readouterr().err
    assert told.count("\n") == 5
    assert not ACTS.search(told)


@pytest.mark.parametrize("poison", COMMANDS[:-1])
def test_nothing_that_is_printed_is_a_command_but_our_own(capfd, poison):
    with guarded():
        say(poison)
        say(poison, err=True)
        print(f"a\n{poison}")
    told = capfd.readouterr()
    assert not ACTS.search(told.out + told.err)

    with guarded():
        command("::notice::ours\n")
    assert capfd.readouterr().out == "::notice::ours\n"


@pytest.mark.parametrize("poison", HOSTILE)
def test_no_bug_acts(monkeypatch, capfd, poison):
    def failing(**_):
        raise ZeroDivisionError(poison)

    monkeypatch.setattr(entry.weighbridge, "main", failing)

    assert entry.main(["plan"]) == 70
    assert not ACTS.search(capfd.readouterr().err)
