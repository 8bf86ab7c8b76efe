"""Tables, and text in HTML."""

import xml.etree.ElementTree as ET

import pytest

from hgenv.pages.markup import Html, escaped, folded, link
from hgenv.pages.numbers import short
from hgenv.pages.table import table

EVIL = "<img src=x onerror=alert(1)> & \"'"


def test_cells_are_text_unless_they_are_html() -> None:
    root = ET.fromstring(table([EVIL, "b"], [[EVIL, link(EVIL, f"a/{EVIL}")], ["x", "1.5 [1, 2]"]], controls=["x"]))
    assert [cell.text for cell in root.iter("th")] == [EVIL, "b"]
    first, second = root.find(".//tbody") or []
    assert first[0].text == EVIL
    anchor = first[1].find("a")
    assert anchor is not None
    assert (anchor.text, anchor.get("href")) == (EVIL, f"a/{EVIL}")
    assert (first.get("class"), second.get("class")) == (None, "control")


def test_columns_of_text_begin_on_the_left() -> None:
    root = ET.fromstring(table(["a", "b", "c"], [["x", "-", "-"], ["y", "z", "-1.5 [-2, -1]"]]))
    assert [cell.get("class") for cell in root.iter("th")] == ["text", "text", None]


def test_a_row_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns: 'x'"):
        table(["a", "b"], [["x"]])


def test_html_stays_as_it_is() -> None:
    assert escaped("a < b") == "a &lt; b"
    assert escaped(Html("<b>")) == "<b>"
    assert folded("a < b", "<b>x</b>") == "<details><summary>a &lt; b</summary>\n<b>x</b>\n</details>"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (0.0, "0"), (-0.05, "-0.05"), (999.4, "999.4"), (1000.0, "1k"), (-1500.0, "-1.5k"), (2.5e6, "2.5M"),
     (3e9, "3G"), (12.3456, "12.35"), (float("nan"), "-"), (float("inf"), "-")],
)  # fmt: skip
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text
