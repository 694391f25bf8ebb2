"""The page in a real browser: Chromium, headless. Skipped where it is not installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from resnet_repro import paths
from resnet_repro.paper.other_reproductions import load_reproductions
from resnet_repro.report.write import write_report
from tests.helpers.records import Fake, write

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver"),
    pytest.mark.slow,
]

FAKES = (
    *(Fake(f"resnet{depth}", 7.0 + depth / 100, 0.5) for depth in (20, 32, 56)),
    Fake("resnet20", 7.5, 0.6, seed=1),
    Fake("resnet20", 12.0, 10.0, protocol="short"),
    Fake("plain20", 9.0, 1.5),
    Fake("plain56", 13.0, 6.0),
)
NAMES = ["fig1", "fig6", "fig7", "gradients_cifar", "table1", "table6"]
ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
    "--force-prefers-reduced-motion",  # scrolls at once, so that a click meets its target
    "--window-size=1280,900",
)


class Browser:
    """A driver with the page loaded afresh, and what the tests ask of it."""

    def __init__(self, driver: webdriver.Chrome, page: Path) -> None:
        self.driver = driver
        self.page = page

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, script: str, *values: Any) -> None:
        """Wait until the expression is true; TimeoutException after ten seconds."""
        WebDriverWait(self.driver, 10).until(lambda _: self.run(f"return {script}", *values))

    def draw(self, chart: str) -> None:
        """Bring a chart into the window and wait until it is drawn."""
        self.run("document.getElementById(arguments[0]).scrollIntoView()", chart)
        self.until("charts.get(arguments[0])?.plot !== undefined", chart)

    def series(self, chart: str) -> list[bool]:
        """Which of a chart's lines are shown."""
        found = self.run(
            "return charts.get(arguments[0]).plot.series.slice(1).map((s) => s.show)", chart
        )
        return [bool(show) for show in found]

    def shown(self, column: int) -> list[str]:
        """A column of the rows of the verdict table that are not hidden."""
        found = self.run(
            "return [...document.querySelectorAll('#all-verdicts tbody tr:not([hidden])')]"
            ".map((row) => row.cells[arguments[0]].textContent.trim())",
            column,
        )
        return [str(text) for text in found]

    def size(self, width: int) -> None:
        values = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write(folder / "recorded", *FAKES)
    shutil.copytree(paths.RECORDED / "counts", folder / "recorded" / "counts")
    path = folder / "report.html"
    write_report([folder / "recorded"], folder / "figures", folder / "tables", NAMES, page=path)
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield found
    found.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome, page: Path) -> Iterator[Browser]:
    """The page as a reader opens it first; it must leave no complaint and fetch nothing."""
    driver.get_log("browser")
    driver.get_log("performance")
    browser = Browser(driver, page)
    browser.size(1280)
    driver.get(page.as_uri())
    browser.run("localStorage.clear()")
    driver.get(page.as_uri())
    yield browser
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    fetched = [url for url in asked if not url.startswith("data:")]  # pictures within the page
    assert {url.partition("#")[0].partition("?")[0] for url in fetched} <= {page.as_uri()}


def test_it_opens_within_two_seconds(browser: Browser) -> None:
    timing = "performance.getEntriesByType('navigation')[0]"
    browser.until(f"{timing}.loadEventEnd > 0")
    assert browser.run(f"return {timing}.loadEventEnd") < 2000


def test_a_heading_sorts_up_and_down(browser: Browser) -> None:
    browser.one("#show-all").click()
    button = browser.all("#all-verdicts .sort")[4]  # recorded
    # Clear of the contents, which stay at the top of the window.
    button.parent.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    head = "document.querySelectorAll('#all-verdicts th')[4]"
    assert browser.run(f"return {head}.ariaSort") == "ascending"
    rising = _numbers(browser)
    assert rising == sorted(rising)
    assert len(rising) > 5
    button.send_keys(Keys.ENTER)
    assert browser.run(f"return {head}.ariaSort") == "descending"
    assert _numbers(browser) == rising[::-1]
    assert browser.shown(4)[-1] == ""  # what is missing stands last, both ways


def _numbers(browser: Browser) -> list[float]:
    found = browser.run(
        "return [...document.querySelectorAll('#all-verdicts tbody tr:not([hidden])')]"
        ".map((row) => row.cells[4].dataset.sort).filter(Boolean).map(Number)"
    )
    return [float(value) for value in found]


def test_the_verdicts_are_filtered(browser: Browser) -> None:
    total = int(browser.run("return verdictRows.length"))
    browser.one(".chip[data-verdict=reduced]").click()
    reduced = browser.shown(6)
    assert reduced
    assert set(reduced) == {"reduced"}
    Select(browser.one("#filter-artifact")).select_by_visible_text("table6")
    assert set(browser.shown(0)) == {"table6"}
    Select(browser.one("#filter-protocol")).select_by_visible_text("paper")
    assert browser.shown(0) == []
    assert browser.one("#nothing").is_displayed()
    browser.one("#filter-reset").click()
    assert browser.one("#filter-count").text == f"15 of {total} rows"
    browser.one("#show-all").click()
    assert len(browser.shown(0)) == total


def test_lines_are_switched_off_and_on(browser: Browser) -> None:
    chart = "chart-fig6-residual"
    browser.draw(chart)
    everything = browser.series(chart)
    assert all(everything)
    buttons = browser.all(f"#{chart} .group button")
    names = [button.text for button in buttons]
    assert names[0] == "ResNet-20"
    assert names[-4:] == ["training error", "test error", "ours", "the paper's"]
    buttons[0].click()
    assert buttons[0].get_attribute("aria-pressed") == "false"
    without = browser.series(chart)
    assert 0 < without.count(False) < len(without)
    buttons[-1].send_keys(Keys.SPACE)  # from the keyboard, the paper's curves
    assert browser.series(chart).count(True) < without.count(True)
    buttons[-1].click()
    buttons[0].click()
    assert browser.series(chart) == everything


def test_the_axis_is_linear_or_logarithmic(browser: Browser) -> None:
    chart = "chart-fig6-plain"
    browser.draw(chart)
    kind = f"charts.get('{chart}').plot.scales.y.distr"
    assert browser.run(f"return {kind}") == 1
    browser.one(f"#{chart} [data-scale=log]").click()
    assert browser.run(f"return {kind}") == 3
    assert browser.run(f"return charts.get('{chart}').plot.scales.y.min > 0")
    assert browser.one(f"#{chart} [data-scale=log]").get_attribute("aria-pressed") == "true"


def test_a_protocol_is_chosen(browser: Browser) -> None:
    chart = "chart-table6-residual"
    browser.draw(chart)
    full = len(browser.series(chart))
    Select(browser.one(f"#{chart} select")).select_by_visible_text("short")
    assert 0 < len(browser.series(chart)) < full


@pytest.mark.parametrize("chart", ["chart-fig6-residual", "chart-fig7-original", "chart-table1"])
def test_values_are_read_with_the_arrow_keys(browser: Browser, chart: str) -> None:
    browser.draw(chart)
    place = browser.one(f"#{chart} .plot")
    place.send_keys(Keys.END)
    tip = browser.one(f"#{chart} .tip")
    assert tip.is_displayed()
    last = tip.text
    assert any(c.isdigit() for c in last)
    place.send_keys(Keys.HOME)
    assert tip.text != last
    place.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_a_drawn_value_is_the_recorded_one(browser: Browser) -> None:
    """The mean of the two seeds' last test errors, and the paper's last point."""
    chart = "chart-table6-residual"
    browser.draw(chart)
    values = browser.run(
        "const { lines } = charts.get(arguments[0]);"
        "return lines.filter((l) => l.line.tags[0] === 0 && l.line.tags[1] === 1)"
        ".map((l) => l.y[l.y.length - 1])",
        chart,
    )
    assert sorted(values) == pytest.approx([(7.2 + 7.5) / 2, 8.78])


def test_every_chart_is_drawn(browser: Browser) -> None:
    browser.run(
        "document.querySelectorAll('details').forEach((d) => { d.open = true; }); drawAll()"
    )
    wanted = browser.run("return document.querySelectorAll('figure.chart').length")
    assert wanted == browser.run("return Object.keys(DATA.charts).length")
    assert browser.run("return document.querySelectorAll('figure.chart canvas').length") == wanted


def test_the_language_is_switched_and_kept(browser: Browser) -> None:
    chart = "chart-fig6-residual"
    browser.draw(chart)
    english = browser.one("#verdicts").text  # charts are drawn as they come into sight
    browser.one("#language").click()
    assert browser.run("return document.documentElement.lang") == "zh-CN"
    text = browser.one("body").text
    for word in ("残差", "快捷连接", "恒等映射", "退化", "结论"):
        assert word in text
    assert "Verdicts" not in text
    assert browser.one(f"#{chart} .group button:last-child").text == "ResNet-1202"  # a name
    assert "训练误差" in browser.one(f"#{chart} .tools").text
    assert "复现" in browser.driver.title
    browser.driver.refresh()
    assert browser.one("#verdicts h2").text == "结论"
    browser.one("#language").click()
    browser.draw(chart)
    assert browser.one("#verdicts").text == english


def test_a_link_may_ask_for_chinese(browser: Browser) -> None:
    browser.driver.get(browser.page.as_uri() + "?lang=zh")
    assert browser.one("#verdicts h2").text == "结论"


def test_light_and_dark(browser: Browser) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(f"return {colour}")
    assert browser.one("#theme").text == "Dark theme"
    assert browser.one("#theme").get_attribute("aria-label") == "Switch to the dark theme"
    browser.one("#theme").click()
    dark = browser.run(f"return {colour}")
    assert dark != light
    assert browser.one("#theme").text == "Light theme"  # what it would do now
    browser.driver.refresh()
    assert browser.run(f"return {colour}") == dark
    browser.one("#theme").click()
    assert browser.run(f"return {colour}") == light
    browser.run("localStorage.clear()")
    feature = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    browser.driver.refresh()
    assert browser.run(f"return {colour}") == dark
    assert browser.one("#theme").text == "Light theme"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_runs_over_the_side(browser: Browser, width: int, language: str) -> None:
    browser.size(width)
    browser.driver.get(browser.page.as_uri() + f"?lang={language}")
    browser.run(
        "document.querySelectorAll('details').forEach((d) => { d.open = true; }); drawAll()"
    )
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    wide = browser.run(
        "return [...document.querySelectorAll('main *')].filter((e) => !e.closest('.wide')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert wide == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_rows_are_cards_on_a_phone(browser: Browser, language: str) -> None:
    """A cell below the other, each with its column's head; nothing scrolls sideways."""
    browser.size(360)
    browser.driver.get(browser.page.as_uri() + f"?lang={language}")
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    tables = browser.all("table.stack")
    names = {name for table in tables for name in str(table.get_attribute("class")).split()}
    assert names >= {"sortable", "results", "claims", "copies"}
    for table in tables:
        assert browser.run(
            "const wide = arguments[0].closest('.wide');"
            " return wide.scrollWidth <= wide.clientWidth",
            table,
        )
    heads = browser.run(
        "return [...document.querySelectorAll('#all-verdicts th')].map((h) => h.textContent.trim())"
    )
    cells = browser.run(
        "return [...document.querySelector('#all-verdicts tbody tr').cells].map((c) => "
        "[c.dataset.head, getComputedStyle(c, '::before').content, c.getBoundingClientRect().top])"
    )
    assert [head for head, _, _ in cells] == heads
    (what,) = (i for i, (_, shown, _) in enumerate(cells) if shown == "none")  # the card's title
    assert what == 1
    tops = [top for i, (_, _, top) in enumerate(cells) if i != what]
    assert tops == sorted(set(tops))
    assert cells[what][2] < min(tops)


def test_the_navigation_is_whole_on_a_phone(browser: Browser) -> None:
    browser.size(360)
    for part in browser.all(".bar a, .bar button"):
        place = part.rect
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 360
    assert browser.run(
        "const nav = document.querySelector('.bar nav'); return nav.scrollWidth <= nav.clientWidth"
    )
    names = [link.text for link in browser.all(".bar nav a")]
    assert names == ["Table 6 and Fig. 6", "Verdicts", "All tables and figures", "Networks", "Runs"]


def test_counts_then_table_6_and_fig_6_come_first(browser: Browser) -> None:
    places = browser.run(
        "return ['headline', 'artifact-table6', 'artifact-fig6', 'verdicts', 'artifact-fig1']"
        ".map((id) => document.getElementById(id).getBoundingClientRect().top)"
    )
    assert places == sorted(places)
    parts = [part.text.splitlines() for part in browser.all("#headline > div")]
    assert [what.split(maxsplit=1)[1] for what, _ in parts] == [
        "error rates", "exact counts", "claims",
    ]  # fmt: skip
    for total, (what, told) in zip(browser.all("#headline dt b"), parts, strict=True):
        assert int(total.text) == sum(int(part.split()[0]) for part in told.split(", "))
        assert "reproduced" in told or ("hold" in told and what.endswith("claims"))


def test_what_other_reproductions_report_is_there(browser: Browser) -> None:
    browser.one("#copies summary").click()
    sources = {link.text for link in browser.all("#copies td a")}
    assert sources == {copy.source for copy in load_reproductions()}
    assert browser.all("#copies tr.own")


def test_seeds_and_published_deviations_have_error_bars(browser: Browser) -> None:
    """Of two seeds, 7.2 and 7.5, and of the paper's five of 110 layers."""
    chart = "chart-table6-test_error"
    browser.draw(chart)
    spreads = browser.run(
        "return charts.get(arguments[0]).lines.map((l) => l.spread.filter(Boolean))", chart
    )
    [published, ours, short] = spreads
    assert published == [0.16]
    assert ours == [pytest.approx(0.3 / 2**0.5)]
    assert short == []
    curves = "chart-fig6-residual"
    browser.draw(curves)
    last = browser.run(
        "return charts.get(arguments[0]).lines.map((l) => l.spread?.at(-1)).filter(Boolean)", curves
    )
    assert sorted(last) == [pytest.approx(0.1 / 2**0.5), pytest.approx(0.3 / 2**0.5)]
    place = browser.one(f"#{curves} .plot")
    place.send_keys(Keys.END)
    assert "7.35 ± 0.212" in browser.one(f"#{curves} .tip").text
    low, high = browser.run(
        "const { y } = charts.get(arguments[0]).plot.scales; return [y.min, y.max]", chart
    )
    assert low > 5  # or the bars would be too small to be seen
    assert high > 12


def test_every_anchor_leads_somewhere(browser: Browser) -> None:
    browser.run("document.querySelectorAll('details.rows').forEach(fillRows)")
    lost = browser.run(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash.slice(1))"
        ".filter((id) => !document.getElementById(decodeURIComponent(id)))"
    )
    assert lost == []
    twice = browser.run(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        "return ids.filter((id, i) => ids.indexOf(id) !== i)"
    )
    assert twice == []


@pytest.mark.parametrize("part", ["spec-iterations", "row-8000", "layers"])
def test_a_link_into_a_closed_run_opens_it(browser: Browser, part: str) -> None:
    run = "run-cifar10-resnet20-short-seed0"
    anchor = f"chart-{run}-{part}" if part == "layers" else f"{run}-{part}"
    browser.driver.get("about:blank")
    browser.driver.get(f"{browser.page.as_uri()}#{anchor}")
    target = browser.one(f"[id='{anchor}']")
    assert target.is_displayed()
    assert browser.run("return arguments[0].closest('details.run').open", target)


def test_print_shows_everything(browser: Browser) -> None:
    closed = "document.querySelectorAll('details:not([open])').length"
    before = browser.run(f"return {closed}")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.until(f"{closed} === 0")
    browser.until("document.querySelectorAll('figure.chart:not(:has(canvas))').length === 0")
    assert browser.run("return verdictRows.every((row) => !row.hidden)")
    assert not browser.one("#filters").is_displayed()
    assert browser.all("details.rows tbody tr")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    browser.until(f"{closed} === arguments[0]", before)


def test_the_keyboard_reaches_what_the_mouse_does(browser: Browser) -> None:
    """Whatever reacts to a click is a button, a link or the like."""
    first = browser.one("body")
    first.send_keys(Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.run("document.activeElement.blur()")
    outline = browser.run(
        "const b = document.getElementById('language'); b.focus({ focusVisible: true });"
        "return getComputedStyle(b).outlineStyle"
    )
    assert outline != "none"
    unnamed = browser.run(
        "return [...document.querySelectorAll('button, select, a[href]')]"
        ".filter((e) => !e.textContent.trim() && !e.ariaLabel && !e.closest('label'))"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []
