"""Pages in a real browser: they open from disk without a complaint or a request, show their plots, and can be used."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests import browser
from wdaverify.cli.main import main

pytestmark = pytest.mark.skipif(bool(browser.MISSING), reason=browser.MISSING)

INSTANCES = Path(__file__).parents[1] / "instances"
IRIS = (str(INSTANCES / "iris/iris-16-16.onnx"), "--data", str(INSTANCES / "iris/iris-test.npz"))
DIGITS = (str(INSTANCES / "digits/digits-64-32-16.onnx"), "--data", str(INSTANCES / "digits/digits-test.npz"))
LIST = "iris/iris-16-16.onnx,properties/iris-0-0.02.vnnlib,60\n"
LARGEST = 6 * 10**6

PAGES = {
    "images": ["certify", *DIGITS, "--samples", "4", "--radius", "0.02,0.05", "--time-limit", "4"],
    "table": ["certify", *IRIS, "--samples", "8", "--loss", "hinge", "--radius", "0.05", "--time-limit", "3"],
    "lipschitz": ["lipschitz", IRIS[0], "--functional", "label:0", "--functional", "label:1"],
    "attack": ["attack", *DIGITS, "--samples", "8", "--steps", "20", "--radius", "0.05"],
    "distance": ["distance", *IRIS, "--samples", "12", "--time-limit", "5"],
    "bench": ["bench", "list.csv", "--restart"],
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Makes each page once."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("iris", "properties"):
            (folder / name).symlink_to(INSTANCES / name)
        (folder / "list.csv").write_text(LIST)

        @cache
        def made(name: str) -> Path:
            assert main([*PAGES[name], "--quiet", "--report", f"{name}.html"]) == 0
            return folder / f"{name}.html"

        yield made
    browser.close()


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_offline_and_can_be_used(page, name):
    file = page(name)
    assert file.stat().st_size < LARGEST
    driver = browser.show(file, width=400)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 400
    driver = browser.show(file)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 1280
    assert browser.complaints(driver) == []
    assert browser.requests(driver) == [file.as_uri()]
    drawn = driver.execute_script(
        "return [...document.querySelectorAll('.plot')].map(p => [p.id, p.querySelectorAll('.scatterlayer .trace').length])"
    )
    assert drawn
    assert all(count > 0 for _, count in drawn)
    assert driver.execute_script("return [...document.images].every(i => i.naturalWidth > 0 && i.alt)")
    assert driver.execute_script("return document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("name", ["images", "lipschitz", "attack", "bench"])
def test_points_say_what_they_are_under_the_pointer(page, name):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    driver = browser.show(page(name))
    point = driver.find_elements(By.CSS_SELECTOR, ".plot .point")[-1]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", point)
    middle = "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]"
    box = driver.execute_script(middle, point)
    pointer = ActionChains(driver)
    pointer.w3c_actions.pointer_action.move_to_location(round(box[0]), round(box[1]))
    pointer.perform()
    labels = driver.execute_script("return [...document.querySelectorAll('.hoverlayer .hovertext')].map(t => t.textContent)")
    assert labels
    assert any(character.isdigit() for character in labels[0])


def _column(driver, table: str, column: int) -> list[str]:
    cells = "return [...document.querySelector(arguments[0]).tBodies[0].rows].map(r => r.cells[arguments[1]].dataset.key)"
    return driver.execute_script(cells, table, column)


def test_columns_are_sorted_by_click_and_by_keyboard(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver, table = browser.show(page("distance")), "#distances table"
    driver.execute_script("document.querySelector('#distances details').open = true")
    head = driver.find_elements(By.CSS_SELECTOR, f"{table} thead th")[0]
    button = head.find_element(By.TAG_NAME, "button")
    before = [int(float(v)) for v in _column(driver, table, 0)]
    assert before != sorted(before)
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [int(float(v)) for v in _column(driver, table, 0)] == sorted(before)
    # nothing but keys: Shift+Tab and Tab leave the button and come back to it
    button.send_keys(Keys.SHIFT + Keys.TAB)
    driver.switch_to.active_element.send_keys(Keys.TAB)
    assert driver.switch_to.active_element == button
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert [int(float(v)) for v in _column(driver, table, 0)] == sorted(before, reverse=True)
    other = driver.find_elements(By.CSS_SELECTOR, f"{table} thead th")[5]
    other.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert (other.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", None)
    uppers = [float(v) for v in _column(driver, table, 5)]
    assert uppers == sorted(uppers)


def test_missing_and_infinite_values_are_sorted_last(page):
    driver = browser.show(page("distance"))
    order = driver.execute_script("""
        const table = document.querySelector("#distances table"), body = table.tBodies[0];
        ["inf", "nan", "-1.5", "1e-9", "10.0"].forEach((key, k) => { body.rows[k].cells[5].dataset.key = key; });
        while (body.rows.length > 5) body.rows[5].remove();
        const seen = [], button = table.tHead.rows[0].cells[5].querySelector("button");
        for (let k = 0; k < 2; ++k) { button.click(); seen.push([...body.rows].map(r => r.cells[5].dataset.key)); }
        return seen;""")
    assert order == [["-1.5", "1e-9", "10.0", "inf", "nan"], ["inf", "10.0", "1e-9", "-1.5", "nan"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["images", "table"])
def test_texts_stand_out_from_what_is_behind_them(page, name, scheme):
    driver = browser.show(page(name), scheme=scheme)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert driver.execute_script(browser.CONTRAST) == []


def test_paper_is_white_and_plots_fit_on_it(page):
    driver = browser.show(page("images"), scheme="dark")
    dark = driver.execute_script("return getComputedStyle(document.documentElement).getPropertyValue('--paper')")
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    width, paper = driver.execute_script(
        "return [document.querySelector('.plot svg').getBoundingClientRect().width, "
        "getComputedStyle(document.documentElement).getPropertyValue('--paper')]"
    )
    assert (width, paper.strip()) == (660, "#ffffff")
    assert driver.execute_script("return [...document.querySelectorAll('.plan')].map(p => p.open)") == [False, True]
    assert driver.execute_script("return [...document.querySelectorAll('details:not(.plan)')].every(d => d.open)")
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script("return getComputedStyle(document.documentElement).getPropertyValue('--paper')") == dark
    assert driver.execute_cdp_cmd("Page.printToPDF", {})["data"].startswith("JVBER")  # %PDF
    assert browser.complaints(driver) == []


def test_hostile_names_are_shown_as_they_are(tmp_path):
    name = "<script>window.hostile=1<\u2215script><img src=x onerror=window.hostile=1>'\"&amp;.onnx"
    (tmp_path / name).write_bytes((INSTANCES / "iris/iris-16-16.onnx").read_bytes())
    file = tmp_path / "page.html"
    assert main(["lipschitz", str(tmp_path / name), "--functional", "label:0", "--quiet", "--report", str(file)]) == 0
    driver = browser.show(file)
    assert driver.execute_script("return window.hostile === undefined && document.querySelectorAll('img').length === 0")
    assert driver.execute_script("return document.querySelector('h1').textContent") == name
    assert browser.complaints(driver) == []
    browser.close()
