"""Charts as values: what a page's script reads is what was given, whatever it says."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from hgenv.pages.chart import Chart, Series, chart, frame_of

AXES = {"train_steps": "training steps", "renders": "renders"}
EVIL = "</script><script>alert(1)</script><!-- & \u2028 <b>'\""


class Scripts(HTMLParser):
    """The contents of all script elements, and the text beside them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts, self.text, self._inside = list[str](), "", False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._inside = tag == "script"
        self.scripts += [""] * self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data
        else:
            self.text += data


def line(label: str = "a", n: int = 3, **more: object) -> Series:
    return Series(label, {"train_steps": np.arange(n), "renders": 8 * np.arange(n)}, np.arange(n) / 3, **more)  # type: ignore[arg-type]


def test_no_text_ends_the_script_element() -> None:
    found = Scripts(chart(Chart(EVIL, {"train_steps": EVIL}, EVIL, [line(EVIL)])))
    (script,) = found.scripts
    content = json.loads(script)
    assert (content["y"], content["x"], content["series"][0]["label"]) == (EVIL, {"train_steps": EVIL}, EVIL)
    assert EVIL in found.text, "the title is text"


def test_what_the_script_reads_is_what_was_given() -> None:
    low, high = [0.0, np.nan, 0.5], [1.0, 2.0, np.inf]
    (script,) = Scripts(chart(Chart("t", AXES, "y", [line("a"), line("b", band=(low, high), colour="ink")]))).scripts
    first, second = json.loads(script)["series"]
    assert first == {
        "label": "a", "x": {"train_steps": [0, 1, 2], "renders": [0, 8, 16]}, "y": [0, 0.3333333, 0.6666667],
        "band": None, "colour": 0,
    }  # fmt: skip
    assert (second["band"], second["colour"]) == ([[0, None, 0.5], [1, 2, None]], "ink")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Series("a", {"train_steps": [0]}, [1]), "the line 'a' has no x axis 'renders'"),
        (Series("a", {"train_steps": [0, 1], "renders": [0]}, [1]), "'a' has 1 points, but its x axis train_steps 2"),
        (line(band=([0.0], [1.0, 1.0, 1.0])), "has 3 points, but its low 1"),
    ],
)
def test_a_line_that_does_not_fit_is_named(wrong: Series, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chart(Chart("t", AXES, "y", [wrong]))


def test_a_chart_without_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="the chart 't' has no line"):
        chart(Chart("t", AXES, "y", []))


def test_a_frame_leaves_out_what_would_squeeze_the_rest() -> None:
    values = np.r_[80.0, 60.0, np.linspace(10.0, 12.0, 98), np.nan]
    frame = frame_of(values)
    assert frame is not None
    assert frame[0] == 10.0
    assert 12.0 < frame[1] < 13.0
    assert frame_of(np.linspace(0.0, 1.0, 50)) is None
    assert frame_of([np.nan]) is frame_of([]) is frame_of([1.0, 1.0, 1.0]) is None
