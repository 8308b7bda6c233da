"""Help texts: each option is in the section in which a reader looks for it."""

from __future__ import annotations

from importlib import import_module

import click
import pytest

from sampler.cli.sections import OTHERS, SECTIONS, SectionedCommand

EVERYBODY = {"seed", "config"}


@pytest.mark.parametrize("name", ["check", "sample", "judge"])
def test_every_option_has_a_section(name):
    command = import_module(f"sampler.cli.{name}").command

    known = {param for names in SECTIONS.values() for param in names}
    options = {param.name for param in command.params if isinstance(param, click.Option)}

    assert isinstance(command, SectionedCommand)
    assert options <= known | EVERYBODY


def test_no_option_is_in_two_sections():
    names = [param for names in SECTIONS.values() for param in names]

    assert len(names) == len(set(names))


def test_the_help_shows_the_sections_in_their_order(weighbridge):
    shown = weighbridge("check", "--help").stdout

    places = [shown.index(f"{title}:") for title in ("What is expected", "When to stop", OTHERS)]
    assert places == sorted(places)
    assert "--max-samples" in shown[places[1] : places[2]]


def test_arguments_stand_in_the_usage_and_not_among_the_options(weighbridge):
    shown = weighbridge("check", "--help").stdout

    assert shown.count("[URL]") == 1
