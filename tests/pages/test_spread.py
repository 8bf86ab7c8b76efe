"""Values with intervals: where they are drawn."""

import re

import numpy as np
import pytest

from hgenv.pages.spread import Spread, spreads


def places(text: str) -> list[float]:
    return [float(x) for x in re.findall(r'cx="([\d.]+)"', text)]


def test_values_are_where_they_are() -> None:
    text = spreads(
        "mae", [Spread("a", [0.0, 10.0], 5.0, (4.0, 6.0), 0), Spread("<b>", [2.5], 2.5, (np.nan, np.nan), "ink")]
    )
    low, high, between = places(text)
    assert between - low == pytest.approx((high - low) / 4, abs=0.1)
    assert text.count("<rect") == 3, "two centres, and an interval where there is one"
    width = float(re.findall(r'width="([\d.]+)" height="10"', text)[0])
    assert width == pytest.approx((high - low) / 5, abs=0.2)
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert 'fill="var(--line-0)"' in text
    assert 'fill="var(--ink)"' in text


def test_an_interval_is_cut_off_where_the_values_end() -> None:
    text = spreads("mae", [Spread("a", [0.0, 10.0], 5.0, (-1e6, 1e6), 11)])
    width = float(re.findall(r'width="([\d.]+)" height="10"', text)[0])
    assert width < 560
    assert 'fill="var(--line-1)"' in text


def test_one_value_and_none() -> None:
    assert len(places(spreads("mae", [Spread("a", [3.0], 3.0, (3.0, 3.0), 0)]))) == 1
    with pytest.raises(ValueError, match="'mae' has no values"):
        spreads("mae", [])
