"""The page in a real browser: links, filters, keyboard, a phone's screen, dark mode, and no accessibility error.

It needs playwright and Debian's Chromium. ``AXE`` is axe-core's ``axe.min.js`` (``npm pack axe-core``); where that is
not set, that test is skipped. ``PAGE`` is a page to look at in place of a small one, ``SHOTS`` a folder for pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.pages import document, written
from verify.report.page import make_page

pytestmark = pytest.mark.extras
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip("needs Debian's chromium", allow_module_level=True)
AXE = os.environ.get("AXE")
#: A desktop, the same in the dark, and a phone of the least width in use.
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 320, "height": 700}, "is_mobile": True, "has_touch": True},
    "dark phone": {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "color_scheme": "dark"},
}
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    if "PAGE" in os.environ:
        return Path(os.environ["PAGE"]).resolve().as_uri()
    folder = tmp_path_factory.mktemp("page")
    path = folder / "index.html"
    path.write_text(make_page(written(folder, document())).text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opened]:
    """Open the page on a screen; at the end, nothing may have been said on its console, and nothing asked for."""
    said: list[str] = []
    contexts = []

    def open_page(screen: str = "light", anchor: str = "", **more: Any) -> Any:
        context = browser.new_context(**SCREENS[screen], **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: said.extend([] if asked.url.startswith(("file:", "data:")) else [asked.url]))
        page.goto(address + anchor)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_screen(screen: str, opened: Opened) -> None:
    page = opened(screen)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if "SHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SHOTS"]) / f"{screen}.png", full_page=True)


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_the_colours_follow_the_scheme(screen: str, opened: Opened) -> None:
    page = opened(screen)
    red = page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert red > 200 if screen == "light" else red < 60


def test_every_link_leads_to_a_place_that_opens(opened: Opened) -> None:
    page = opened()
    links = page.eval_on_selector_all("a[href]", "all => all.map((link) => link.getAttribute('href'))")
    assert len(links) > 20
    for link in dict.fromkeys(links):
        page.evaluate("(to) => { location.hash = to; }", link)
        target = page.locator(f"[id='{link[1:]}']")
        target.wait_for(state="visible", timeout=5000)


def test_an_address_with_a_claim_opens_it(opened: Opened) -> None:
    page = opened(anchor="#claim-theorem-1")
    assert page.locator("#claim-theorem-1 tbody tr").first.is_visible()


def test_filters_show_what_fits_and_say_how_many(opened: Opened) -> None:
    page = opened()
    rows = page.locator("tr[data-state]")
    everything = rows.count()
    told = page.locator("#filters output")
    assert told.inner_text() == f"{everything} of {everything} shown"
    page.select_option("[name=claim]", "theorem-1")
    some = page.locator("[data-claim='theorem-1'] tr[data-state]").count()
    assert told.inner_text() == f"{some} of {everything} shown"
    assert page.locator("tr[data-state]:visible").count() == some
    page.select_option("[name=kind]", "proved")
    proved = page.locator("[data-claim='theorem-1'] tr[data-kind=proved]").count()
    assert page.locator("tr[data-state]:visible").count() == proved > 0
    page.fill("#filters [name=words]", "no verdict has these words")
    assert told.inner_text() == f"0 of {everything} shown"
    page.click("#filters button")
    page.wait_for_function(f"document.querySelector('#filters output').value === '{everything} of {everything} shown'")
    assert page.locator("details.claim:visible").count() == page.locator("details.claim").count()


def test_the_filter_of_bugs_finds_words(opened: Opened) -> None:
    page = opened()
    page.fill("#bug-filter [name=words]", "checkpoint resumed")
    shown = page.locator("details.bugs tbody tr:visible")
    assert 0 < shown.count() < page.locator("details.bugs tbody tr").count()
    assert all("checkpoint" in text.lower() for text in shown.all_inner_texts())


def test_the_keyboard_reaches_and_works_everything(opened: Opened) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#claim-theorem-2 > summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#claim-theorem-2 table").first.is_visible()
    page.locator("#origins").focus()
    page.keyboard.press("Space")
    assert page.get_attribute("#origins", "aria-pressed") == "true"
    reached = set()
    page.evaluate(
        "document.querySelectorAll('details').forEach((part) => { part.open = true; }); document.body.focus()"
    )
    wanted = page.locator(
        "a[href]:visible, button:visible, select:visible, input:visible, summary:visible, [tabindex='0']:visible"
    ).count()
    page.locator(".skip").focus()
    for _ in range(wanted + 5):
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        outline = page.evaluate(
            "(() => { const style = getComputedStyle(document.activeElement);"
            " return style.outlineStyle !== 'none' || document.activeElement.closest('.graph, .pan, .skip') !== null"
            " || document.activeElement === document.body; })()"
        )
        assert outline, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        page.keyboard.press("Tab")
    assert len(reached) >= wanted


def test_without_scripts_everything_is_there(opened: Opened) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#filters").is_hidden()
    assert page.locator("tr[data-state]").count() > 5


@pytest.mark.skipif(AXE is None, reason="needs AXE, the path of axe-core's axe.min.js")
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_no_violation(screen: str, opened: Opened) -> None:
    page = opened(screen, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.evaluate(Path(str(AXE)).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
    told = [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {rule['nodes'][0]['html'][:200]} ({len(rule['nodes'])})"
        for rule in found["violations"]
    ]
    assert told == []
