"""Values of options: each is read in the forms that it names, and anything else is refused."""

from __future__ import annotations

from math import inf

import click
import pytest

from sampler.cli.values import Chance, Count, Duration, Factor, Rate, RateCap, Settle, Share

READ = [
    (Duration(), "500ms", 0.5),
    (Duration(), "30", 30.0),
    (Duration(), "1.5m", 90.0),
    (Duration(), ".5h", 1800.0),
    (Duration(10, is_positive=False), "0", 0.0),
    (Settle(), "auto", None),
    (Settle(), "0s", 0.0),
    (Share(), "5%", 0.05),
    (Share(), "0.05", 0.05),
    (Share(), "100%", 1.0),
    (Chance(), "1e-3", 0.001),
    (Chance(), "1%", 0.01),
    (Factor(), "1.5x", 1.5),
    (Factor(), "1", 1.0),
    (Rate(), "200/s", 200.0),
    (Rate(), "0.5", 0.5),
    (RateCap(), "none", inf),
    (RateCap(), "0/s", inf),
    (RateCap(), "2000", 2000.0),
    (Count(), "1", 1),
    (Count(0, 5), "0", 0),
]

REFUSED = [
    *((Duration(10), text) for text in ("", "-1s", "1d", "inf", "nan", "0", "11s", "1 s", "٣")),
    *((Settle(), text) for text in ("never", "-1")),
    *((Share(), text) for text in ("", "101%", "1.5", "-1%", "5 %", "nan")),
    *((Chance(), text) for text in ("0", "0.5", "50%", "nan", "x")),
    *((Factor(), text) for text in ("0.9", "x", "none", "inf")),
    *((Rate(), text) for text in ("0", "-1", "5/m", "1e7", "inf", "nan")),
    *((RateCap(), text) for text in ("-1", "nil", "inf")),
    *((Count(1, 5), text) for text in ("0", "6", "1.0", "x", "", "9" * 20)),
]


@pytest.mark.parametrize(("kind", "text", "number"), READ)
def test_a_value_is_read(kind, text, number):
    assert kind.convert(text, None, None) == number


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_another_value_is_refused_with_what_was_expected_and_what_came(kind, text):
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(text, None, None)

    assert caught.value.message == f"expected {kind.expected}, got {text!r}"
