"""``weighbridge schema``: stable names, and documents of earlier versions stay valid."""

from __future__ import annotations

import json
import tomllib
from math import nan

import click
import jsonschema
import pytest

from sampler.cli.config_schema import config_schema
from sampler.cli.configuration import as_typed, readers, settings
from sampler.cli.entry import main
from sampler.cli.entry import weighbridge as program
from sampler.cli.schema import SCHEMAS
from tests.processes import REPOSITORY

STORED = REPOSITORY / "tests" / "stored"
IDS = {"report": "report", "plan": "plan", "expect": "expectation", "config": "config"}
DOCUMENTS = [
    *(("report", STORED / folder / "report.json") for folder in ("first", "second")),
    ("plan", STORED / "documents" / "plan.json"),
    ("expect", STORED / "documents" / "expect.json"),
    ("config", STORED / "documents" / "config.toml"),
]
VALUES = [
    True, 0, 1, 5, 404, 10_001, -1, 0.4, 2.5, 1e-3, nan, "", "0", "5", "-1", "5s", "500ms", "2%",
    "0.05", "1.5x", "200/s", "none", "auto", "fast", "declared", "configured", "10:30", "v1=9,v2=1",
    [], ["a: b"], ["a", 3], [True], {}, {"v1": 9, "v2": 0.5}, {"v1": "90%"}, [["a"]],
]  # fmt: skip


@pytest.fixture
def ctx():
    """Return the context in which a command of the program runs."""
    with click.Context(program, info_name="weighbridge") as root:
        yield click.Context(click.Command("schema"), info_name="schema", parent=root)


@pytest.mark.parametrize("document", SCHEMAS)
def test_a_schema_is_printed_under_a_name_that_stays(capsys, document):
    assert main(["schema", document]) == 0

    schema = json.loads(capsys.readouterr().out)
    jsonschema.validators.validator_for(schema).check_schema(schema)
    assert schema["$id"] == f"urn:weighbridge:{IDS[document]}:1"


@pytest.mark.parametrize(("document", "path"), DOCUMENTS, ids=str)
def test_documents_of_earlier_versions_are_valid(ctx, document, path):
    text = path.read_text(encoding="utf-8")

    jsonschema.validate(
        tomllib.loads(text) if path.suffix == ".toml" else json.loads(text),
        SCHEMAS[document](ctx),
    )


def test_what_a_command_reads_from_a_file_is_valid(ctx):
    schema, read = config_schema(ctx), 0

    for name, command in readers(ctx).items():
        for key, param in settings(command).items():
            valid = jsonschema.Draft7Validator(schema["properties"][name]["properties"][key])
            for value in VALUES:
                try:
                    param.type_cast_value(ctx, as_typed(param, value))
                except click.BadParameter:
                    continue
                read += 1
                assert valid.is_valid(value), (name, key, value)
    assert read > 500


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("concurency", 4),
        ("config", "other.toml"),
        ("concurrency", 0),
        ("concurrency", 2.5),
        ("concurrency", 10_001),
        ("timeout", -1),
        ("timeout", "5 s"),
        ("max-time", True),
        ("transport", "slow"),
        ("insecure", "yes"),
        ("header", [["Host: a"]]),
        ("label", {"pointer": "/label"}),
        ("seed", "x"),
        ("expect", ["v1=9", "v2=1"]),
    ],
)
def test_an_editor_is_told_of_what_would_be_refused(ctx, key, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"check": {key: value}}, config_schema(ctx))


@pytest.mark.parametrize(
    ("table", "is_valid"),
    [
        ({"url": "http://h/", "expect": {"v1": 9}, "linger": "90s", "permit": ["key"]}, True),
        ({"url": "http://h/", "alpha_spending": "step", "fail_after": 600, "kind": "check"}, True),
        ({"url": "http://h/", "on_inconclusive": "dance"}, False),
        ({"url": "http://h/", "linger": "soon"}, False),
        ({"url": "http://h/", "out": "reports"}, False),
        ({"url": "http://h/", "concurency": 4}, False),
    ],
)
def test_a_gate_is_valid_if_serve_reads_it(ctx, table, is_valid):
    schema = jsonschema.Draft7Validator(config_schema(ctx))

    assert schema.is_valid({"gate": {"shop": table}}) is is_valid


def test_a_table_that_no_command_reads_is_refused(ctx, weighbridge, tmp_path):
    (tmp_path / "w.toml").write_text("[plan]\nrate = 5\n", encoding="utf-8")

    done = weighbridge("check", "http://127.0.0.1:9/", "--expect", "v1=1", "--config", "w.toml")

    assert done.returncode == 2
    assert "no command reads a table [plan]" in done.stderr
    assert "[check], [sample]" in done.stderr
    assert not jsonschema.Draft7Validator(config_schema(ctx)).is_valid({"plan": {"rate": 5}})
