"""The one plain layout of tables: columns under each other, whatever the letters are."""

from __future__ import annotations

from analysis.render.grid import Grid, lines, plain


def test_columns_are_aligned_to_their_side_and_nothing_trails():
    grid = Grid([("v1", "9", "a"), ("canary", "1 000", "")], ("label", "count", ""), frozenset({1}))

    assert lines(grid) == [
        "label   count",
        "v1          9  a",
        "canary  1 000",
    ]


def test_wide_letters_take_two_cells():
    assert lines(Grid([("カナリア", "1"), ("v1", "2")])) == ["カナリア  1", "v1        2"]


def test_without_headings_there_is_no_line_for_them_and_without_rows_none_at_all():
    assert lines(Grid([("a", "b")], indent=2)) == ["  a  b"]
    assert lines(Grid([])) == []


def test_a_document_is_joined_with_what_its_tables_leave_out():
    grid = Grid([("a",)], ("name",), caption="Some names.", more="and 2 more", indent=1)

    assert plain(["first", "", grid, Grid([]), "last"]) == (
        "first\n\n Some names.\n name\n a\n and 2 more\n\nlast\n"
    )
    assert plain(["first", grid], between="\n").startswith("first\n Some names.")
