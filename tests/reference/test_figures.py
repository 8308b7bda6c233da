"""Every figure against a stored image that a person has looked at.

Where letters stand, only that something stands there is compared (their shapes depend on the
release of FreeType); everywhere else, pixels. ``python -m tests.reference.images`` writes the
images again.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from matplotlib.transforms import Affine2D

from analysis.figures import split_over_time
from tests.recorded import recorded
from tests.reference import images

OFF = 8
"""Difference of a channel, in [0, 255], from which a pixel counts as another one."""
MOST_OFF = 0.0005
"""Share of the pixels without text that may be others: edges, as antialiasing rounds them."""
CASES = dict(images.cases())


def share_off(name, make):
    """Share of the pixels without text that are not those of the stored image."""
    png, free = images.draw(make)
    drawn, kept = images.pixels(png), images.pixels(images.FOLDER / f"{name}.png")
    if drawn.shape != kept.shape:
        return 1.0
    off = np.abs(drawn - kept).max(axis=2) > OFF
    return np.count_nonzero(off & free) / np.count_nonzero(free)


@pytest.mark.parametrize("name", CASES)
def test_a_figure_is_drawn_as_it_was_when_somebody_looked(name):
    assert share_off(name, CASES[name]) <= MOST_OFF


def test_there_is_no_image_of_a_figure_that_is_no_longer_drawn():
    assert {path.stem for path in images.FOLDER.glob("*.png")} == set(CASES)


def test_every_image_is_four_hundred_pixels_wide():
    for name in CASES:
        assert images.pixels(images.FOLDER / f"{name}.png").shape[1] == 400


@pytest.mark.parametrize("moved", ["accepted-1", "expected-1", "decision-0", "windows-0", "band-1"])
def test_a_part_that_moved_a_little_is_noticed(moved):
    """The teeth: two pixels of a band, a line or the points are enough."""
    name = "split-few-light"

    def make():
        figure = CASES[name]()
        for artist in figure.findobj():
            if artist.get_gid() == moved:
                artist.set_transform(artist.get_transform() + _moved(2.0))
        return figure

    assert share_off(name, make) > MOST_OFF


def test_other_letters_are_not_noticed():
    """Another release of FreeType draws them a hair wider, or higher."""
    name = "split-few-light"

    def make():
        figure = CASES[name]()
        for text in figure.texts:
            text.set_fontsize(float(text.get_fontsize()) * 1.02)
        return figure

    assert share_off(name, make) <= MOST_OFF


def test_a_figure_of_another_run_is_noticed():
    other = partial(split_over_time, *recorded(["v1", "v2"], [9, 1], seed=9))

    assert share_off("split-few-light", other) > MOST_OFF


def _moved(dots):
    return Affine2D().translate(dots, dots)
