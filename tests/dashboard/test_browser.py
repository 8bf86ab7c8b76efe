"""The pages in a real browser, whose console stays empty."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from browser import look
from dashboards import TOY, play, served
from processes import interruptible

from hgenv.cli.options import start_from
from hgenv.dashboard.server import Server
from hgenv.env import DataGenEnv
from hgenv.tasks.toy_shading import ToyShading

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.xdist_group("browser")
PIXELS = """
const [image] = arguments, canvas = document.createElement("canvas");
canvas.width = image.naturalWidth;
canvas.height = image.naturalHeight;
canvas.getContext("2d").drawImage(image, 0, 0);
return canvas.toDataURL();
"""
IDLE = "return document.getElementById('said').textContent === '' && !renderer.busy && samples.naturalWidth > 0"


def until(browser: WebDriver, script: str, seconds: float = 60.0) -> Any:
    """What a script gives, as soon as it is something."""
    return WebDriverWait(browser, seconds, 0.1).until(lambda b: b.execute_script(script), script)


def open_page(browser: WebDriver, server: Server, path: str) -> None:
    browser.get(f"http://{server.hosts[0]}{path}")


def pictures(browser: WebDriver) -> tuple[str, str]:
    """The pixels of the samples and of the target, once nothing is asked for."""
    until(browser, IDLE)
    return tuple(browser.execute_script(PIXELS, browser.find_element(By.ID, name)) for name in ("samples", "target"))  # type: ignore[return-value]


def values(browser: WebDriver) -> dict[str, float]:
    return browser.execute_script("return beta")


def press(browser: WebDriver, text: str) -> None:
    browser.find_element(By.XPATH, f"//button[text()={json.dumps(text)}]").click()


def test_a_slider_that_moves_changes_samples_and_nothing_else(browser: WebDriver, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        open_page(browser, server, f"/playground?env={TOY}")
        samples, target = pictures(browser)
        slider = browser.find_element(By.CSS_SELECTOR, "[id='light.mean'] input[type=range]")
        where = slider.size["width"] * (values(browser)["light.mean"] + 1.0) / 2.0 - slider.size["width"] / 2.0
        grabbed = ActionChains(browser).move_to_element_with_offset(slider, round(where), 0).click_and_hold()
        grabbed.move_by_offset(60, 0).release().perform()
        moved, same = pictures(browser)
        assert moved != samples
        assert same == target
        now = values(browser)
        assert now["light.mean"] > 0.1
        assert (now["light.std"], now["convex.probability"]) == (0.4, 0.4)
        written = slider.find_element(By.XPATH, "../input[@type='number']").get_property("value")
        assert float(written) == pytest.approx(now["light.mean"], rel=1e-3)  # type: ignore[arg-type]
        press(browser, "start")
        assert pictures(browser) == (samples, target), "the same keys: at the same beta the same samples"


def test_beta_is_saved_as_a_run_reads_it(browser: WebDriver, tmp_path: Path) -> None:
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    with served(tmp_path) as server:
        open_page(browser, server, f"/playground?env={TOY}")
        pictures(browser)
        press(browser, "random")
        pictures(browser)
        chosen = values(browser)
        press(browser, "save beta.json")
        saved, end = tmp_path / "beta.json", time.monotonic() + 30
        while not saved.is_file() and time.monotonic() < end:
            time.sleep(0.05)
    assert json.loads(saved.read_text()) == chosen
    env = DataGenEnv(ToyShading(validation_size=4, test_size=4))
    start_from(env, str(saved), 0)
    names = env.task.layout.names
    assert env.box.beta(env.start).tolist() == pytest.approx([chosen[name] for name in names], rel=1e-12)


def test_a_runs_best_beta_is_the_start(browser: WebDriver, bench: Path) -> None:
    with served(bench) as server:
        open_page(browser, server, "/")
        until(browser, "return document.querySelector('.cell')")
        browser.find_element(By.CSS_SELECTOR, "[title='cma 0: done']").click()
        browser.find_element(By.LINK_TEXT, "playground").click()
        found = pictures(browser)
        best = values(browser)
        press(browser, "start")
        assert pictures(browser)[0] != found[0]
        press(browser, "the run's best")
        assert pictures(browser) == found
        assert values(browser) == best


def test_coordinates_are_searched(browser: WebDriver, tmp_path: Path) -> None:
    """Of 36 coordinates those with all the words, in name or meaning."""
    with served(tmp_path) as server:
        open_page(browser, server, "/playground?env=hgenv/TextureIntrinsics-v0")
        field = until(browser, "return document.querySelector('input[type=search]')")
        field.send_keys("WEIGHT vertices")
        rows = "[...document.querySelectorAll('.coordinate')]"
        shown = f"return {rows}.filter((row) => row.checkVisibility()).map((row) => row.id)"
        assert browser.execute_script(shown) == [f"vertices.{n}" for n in (3, 4, 5, 6)]
        pictures(browser)


@pytest.mark.slow
def test_a_bench_that_is_running(browser: WebDriver, tmp_path: Path) -> None:
    words = ["--seeds", "2", "--optimizers", "fixed", "--random-fixed", "0", "--retrain-steps", "--workers", "1"]
    limits = ["--max-wall-seconds", "4", "--out", str(tmp_path / "bench")]
    command = [sys.executable, "-m", "hgenv", "bench", TOY, *words, *limits]
    with interruptible(command, stdout=subprocess.DEVNULL) as process, served(tmp_path) as server:
        open_page(browser, server, "/")
        assert until(browser, "return document.querySelectorAll('.cell.running').length", 120) == 1
        until(browser, "return document.querySelector('.counts').textContent.includes('the bench goes on')")
        until(browser, "return document.querySelectorAll('.cell.done').length >= 1", 120)
        until(browser, "return document.querySelectorAll('.cell.running').length === 1", 120)
        until(browser, "return document.querySelector('.uplot canvas')")
        process.terminate()
        process.communicate(timeout=60)
        until(browser, "return document.querySelectorAll('.running').length === 0")
        assert process.returncode == 143


def test_curves_grow_while_one_looks(browser: WebDriver, bench: Path) -> None:
    with served(bench) as server:
        open_page(browser, server, "/")
        until(browser, "return document.querySelector('.uplot canvas')")
        last = "return views.values().next().value.lines.get(arguments[0]).x.length"
        name = str(bench / "ToyShading-v0" / "cma-s1")
        before = browser.execute_script(last, name)
        assert before == 3
        row = (bench / "ToyShading-v0" / "cma-s1" / "metrics.csv").read_text().splitlines()[-1]
        with (bench / "ToyShading-v0" / "cma-s1" / "metrics.csv").open("a") as file:
            file.write(row + "\n")
        WebDriverWait(browser, 20, 0.1).until(lambda b: b.execute_script(last, name) == before + 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_shows_all(scheme: str, browser: WebDriver, bench: Path) -> None:
    look(browser, 390, scheme)
    with served(bench) as server:
        for path, there in (("/", "return document.querySelector('.uplot canvas')"), (f"/playground?env={TOY}", IDLE)):
            open_page(browser, server, path)
            until(browser, there)
            over = "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
            assert browser.execute_script(over) == 0
            paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}[scheme]


def test_names_are_text_whatever_they_say(browser: WebDriver, tmp_path: Path) -> None:
    play(tmp_path / "<img src=x onerror=alert(1)>" / "a%2e%2e#?&\"'")
    with served(tmp_path) as server:
        open_page(browser, server, "/")
        until(browser, "return document.querySelector('.cell')")
        assert "<img src=x onerror=alert(1)>" in browser.find_element(By.TAG_NAME, "h2").text
        browser.find_element(By.CSS_SELECTOR, ".cell").click()
        browser.find_element(By.LINK_TEXT, "playground").click()
        pictures(browser)


def test_a_page_of_a_folder_has_an_origin_of_its_own(browser: WebDriver, tmp_path: Path) -> None:
    """Its scripts run, and can neither ask the server nor read what others keep; the console says why."""
    (tmp_path / "report.html").write_text(
        "<title>before</title><script>(async () => {"
        "const tried = [() => fetch('/api/overview'), () => localStorage.length, () => document.cookie];"
        "const told = await Promise.all(tried.map(async (f) => { try { await f(); return 'open'; }"
        " catch { return 'closed'; } }));"
        "document.title = `${origin} ${told}`; })();</script>"
    )
    with served(tmp_path) as server:
        open_page(browser, server, "/files/0/report.html")
        WebDriverWait(browser, 20, 0.1).until(lambda b: b.title != "before")
        assert browser.title == "null closed,closed,closed"
    assert browser.get_log("browser") != []  # type: ignore[no-untyped-call]
