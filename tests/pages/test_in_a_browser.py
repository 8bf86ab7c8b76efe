"""Pages in a real browser: lines hide, tables sort, charts zoom, pictures grow, and the console stays empty."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser import look
from PIL import Image

from hgenv.cli import main as cli
from hgenv.pages.chart import ASSETS, Chart, Series, charts
from hgenv.pages.markup import folded
from hgenv.pages.page import page
from hgenv.pages.table import table

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

pytestmark = pytest.mark.xdist_group("browser")
AXES = {"train_steps": "training steps", "renders": "renders"}
Opened = Callable[[str], None]


@pytest.fixture
def show(browser: "WebDriver", tmp_path: Path) -> Opened:
    """Opens a page of this body."""

    def show(body: str) -> None:
        (tmp_path / "page.html").write_text(page("test", body, ASSETS), encoding="utf-8")
        browser.get((tmp_path / "page.html").as_uri())

    return show


def lines(count: int = 3, log: bool = False) -> Chart:
    x = np.linspace(0.0, 2000.0, 41)
    many = [
        Series(f"line {i}", {"train_steps": x, "renders": 8 * x}, 0.1 * np.exp(-x / 500) + 0.01 * i)
        for i in range(count)
    ]
    return Chart("a chart", AXES, "loss", many, log=log)


def picture(browser: "WebDriver") -> np.ndarray:
    """The pixels (h, w, 4) of the first chart, once it is drawn."""
    drawn = "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]({})))"
    url = browser.execute_async_script(drawn.format("document.querySelector('.uplot canvas').toDataURL()"))
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def shown(browser: "WebDriver", count: int = 3) -> list[bool]:
    """Which of the first lines are seen in the first chart, by their colours."""
    pixels, found = picture(browser), []
    for i in range(count):
        name = f"return getComputedStyle(document.documentElement).getPropertyValue('--line-{i}').trim()"
        colour = [*bytes.fromhex(browser.execute_script(name)[1:]), 255]
        found.append(np.count_nonzero((pixels == colour).all(-1)) > 50)
    return found


def found(browser: "WebDriver", css: str) -> list:
    from selenium.webdriver.common.by import By

    return browser.find_elements(By.CSS_SELECTOR, css)


def pointer(browser: "WebDriver") -> "ActionChains":  # noqa: F821
    from selenium.webdriver.common.action_chains import ActionChains

    return ActionChains(browser, duration=50)


def test_a_click_on_the_legend_hides_a_line(browser: "WebDriver", show: Opened) -> None:
    show(charts([lines()]))
    before = picture(browser)
    assert shown(browser) == [True, True, True]
    second = found(browser, ".legend button")[1]
    second.click()
    assert shown(browser) == [True, False, True]
    assert [b.get_attribute("aria-pressed") for b in found(browser, ".legend button")] == ["true", "false", "true"]
    second.click()
    pointer(browser).move_to_element(found(browser, "h3")[0]).perform()
    assert same(picture(browser), before)


def test_a_double_click_on_the_legend_leaves_a_line_alone(browser: "WebDriver", show: Opened) -> None:
    show(charts([lines()]))
    picture(browser)
    second = found(browser, ".legend button")[1]
    for alone in (True, False):
        pointer(browser).double_click(second).perform()
        assert shown(browser) == [not alone, True, not alone]


def test_the_pointer_reads_values(browser: "WebDriver", show: Opened) -> None:
    show(charts([lines()]))
    picture(browser)
    pointer(browser).move_to_element(found(browser, ".u-over")[0]).perform()
    picture(browser)
    assert found(browser, ".readout")[0].text == "training steps: 1k"
    values = [float(output.text) for output in found(browser, ".legend output")]
    np.testing.assert_allclose(values, 0.1 * np.exp(-2) + 0.01 * np.arange(3), rtol=1e-4)


def test_dragging_zooms_and_a_double_click_resets(browser: "WebDriver", show: Opened) -> None:
    show(charts([lines()]))
    before, over = picture(browser), found(browser, ".u-over")[0]
    pointer(browser).move_to_element_with_offset(over, -100, 0).click_and_hold().move_by_offset(
        150, 5
    ).release().perform()
    pointer(browser).move_to_element(found(browser, "h3")[0]).perform()
    assert not same(picture(browser), before)
    pointer(browser).double_click(over).perform()
    pointer(browser).move_to_element(found(browser, "h3")[0]).perform()
    assert same(picture(browser), before)


def test_the_reader_chooses_the_axis_and_its_scale(browser: "WebDriver", show: Opened) -> None:
    from selenium.webdriver.support.select import Select

    show(charts([lines()]))
    seen = {picture(browser).tobytes()}
    choice = Select(found(browser, ".chart select")[0])
    assert [option.text for option in choice.options] == list(AXES.values())
    choice.select_by_value("renders")
    seen.add(picture(browser).tobytes())
    pointer(browser).move_to_element(found(browser, ".u-over")[0]).perform()
    picture(browser)
    assert found(browser, ".readout")[0].text == "renders: 8k"
    found(browser, ".chart input")[0].click()  # the first point, at 0, is left out
    seen.add(picture(browser).tobytes())
    assert len(seen) == 3
    assert shown(browser) == [True, True, True]


def test_a_frame_is_cut_and_can_be_left(browser: "WebDriver", show: Opened) -> None:
    y = np.r_[80.0, np.linspace(10.0, 12.0, 40)]
    show(charts([Chart("t", {"x": "x"}, "y", [Series("a", {"x": np.arange(41)}, y)], frame=(10.0, 12.5))]))
    before, over = picture(browser), found(browser, ".u-over")[0]
    away = found(browser, "h3")[0]
    pointer(browser).double_click(over).move_to_element(away).perform()
    assert not same(picture(browser), before)
    pointer(browser).double_click(over).move_to_element(away).perform()
    assert same(picture(browser), before)


def test_numbers_on_axes(browser: "WebDriver", show: Opened) -> None:
    show("")
    short = "return arguments[0].map(pages.short)"
    values = [0.1, 0.0002, 0.00001, 0, -0.05, 999, 1000, 12500, 2500000, 3e9]
    wanted = ["0.1", "0.0002", "1e-5", "0", "-0.05", "999", "1k", "12.5k", "2.5M", "3G"]
    assert browser.execute_script(short, values) == wanted


def test_a_click_on_a_header_sorts(browser: "WebDriver", show: Opened) -> None:
    cells = [
        ("b", "12.3 [11.9, 12.8]"),
        ("c", "-"),
        ("a", "2.3 [1, 3]"),
        ("e", "1.2k"),
        ("d", "-1.5"),
        ("f", "- (0 of 3)"),
    ]
    show(table(["name", "value"], cells))
    names, values = found(browser, "th")

    def column(i: int) -> list[str]:
        return [cell.text for cell in found(browser, f"td:nth-child({i})")]

    values.click()
    assert column(2) == ["-1.5", "2.3 [1, 3]", "12.3 [11.9, 12.8]", "1.2k", "-", "- (0 of 3)"]
    assert values.get_attribute("aria-sort") == "ascending"
    values.click()
    assert column(2) == ["1.2k", "12.3 [11.9, 12.8]", "2.3 [1, 3]", "-1.5", "-", "- (0 of 3)"]
    names.click()
    assert column(1) == ["a", "b", "c", "d", "e", "f"]
    assert (names.get_attribute("aria-sort"), values.get_attribute("aria-sort")) == ("ascending", None)


def test_a_folded_chart_is_drawn_when_it_is_opened(browser: "WebDriver", show: Opened) -> None:
    show(folded("more", charts([lines()])))
    assert not found(browser, "canvas")
    found(browser, "summary")[0].click()
    assert shown(browser, 1) == [True]


def test_the_first_column_stays_when_a_table_scrolls(browser: "WebDriver", show: Opened) -> None:
    look(browser, 390, "light")
    show(table(["name", *(f"column {i}" for i in range(12))], [["first", *("12.345" for _ in range(12))]]))
    first, last = found(browser, "td")[0], found(browser, "td")[-1]
    before = (first.rect["x"], last.rect["x"])
    browser.execute_script("document.querySelector('.wide').scrollLeft = 200")
    assert (first.rect["x"], last.rect["x"]) == (before[0], before[1] - 200)


def test_colours_follow_the_scheme_while_one_looks(browser: "WebDriver", show: Opened) -> None:
    show(charts([lines(1)]))
    before = picture(browser)
    look(browser, 1280, "dark")
    assert not same(picture(browser), before)
    assert shown(browser, 1) == [True], "that of the dark"
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 29)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["--env", "hgenv/ToyShading-v0", "--max-steps", "12", "--report-every", "2", "--validation-size", "8"]
    assert cli.main(["run", "random-search", *words, "--test-size", "8", "--pairs", "1", "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_run(width: int, scheme: str, browser: "WebDriver", run: Path) -> None:
    """All of it, at any width: nothing is wider than the window, nothing is fetched."""
    look(browser, width, scheme)
    browser.get((run / "report.html").as_uri())
    found(browser, "summary")[0].click()
    picture(browser)
    wide, inner = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide <= inner <= width
    assert len(found(browser, "canvas")) == len(found(browser, "figure.chart")) > 5
    assert shown(browser, 1) == [True]
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    assert all(name.startswith("data:") for name in fetched)


def test_what_is_on_a_runs_page_works(browser: "WebDriver", run: Path) -> None:
    browser.get((run / "report.html").as_uri())
    assert shown(browser, 1) == [True]
    found(browser, ".legend button")[0].click()
    assert shown(browser, 1) == [False]
    first = [cell.text for cell in found(browser, "table")[-2].find_elements("css selector", "td:first-child")]
    assert first == ["light.mean", "light.std", "convex.probability"]
    found(browser, "table")[-2].find_element("css selector", "th").click()
    first = [cell.text for cell in found(browser, "table")[-2].find_elements("css selector", "td:first-child")]
    assert first == ["convex.probability", "light.mean", "light.std"]
    for css, inner in ((".picture > img", "dialog img"), (".density > svg", "dialog svg")):
        small = found(browser, css)[0]
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", small)
        small.click()
        large = found(browser, inner)[0]
        assert large.size["width"] > small.size["width"]
        lines = large.find_elements("css selector", "polyline")
        assert all(line.value_of_css_property("fill") == "none" for line in lines), "styled as the small one is"
        found(browser, "dialog")[0].click()
        assert not found(browser, "dialog")
