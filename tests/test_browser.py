"""The report in a real browser: filters, permalinks, dark mode, the keyboard, a phone; no errors, no requests."""

import shutil
from pathlib import Path

import pytest

from tests.test_report import TITLES, pages, suite  # noqa: F401 - pytest takes fixtures by name

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-sandbox",
]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(pages, tmp_path_factory) -> Path:  # noqa: F811 - the argument is the fixture
    folder = tmp_path_factory.mktemp("report")
    (folder / "index.html").write_text(pages.index(), encoding="utf-8")
    for claim_id in pages.claims:
        path = folder / f"{claim_id}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(pages.claim(claim_id), encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser, site):
    """Opens a page; at the end there was no error in the console and no request but for the pages themselves."""
    troubles, contexts = [], []

    def open_page(name: str, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: troubles.append(request.url) if not request.url.startswith("file:") else None,
        )
        page.goto(f"{site.as_uri()}/{name}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in troubles if not text.startswith("data:")] == []


def shown(page) -> set[str]:
    return {row.get_attribute("id").partition("/")[2] for row in page.locator(".claim:visible").all()}


def test_filters(visit):
    page = visit("index.html")
    assert shown(page) == set(TITLES)
    page.select_option("#filter-verdict", "refuted")
    assert shown(page) == {"bad", "known"}
    assert page.locator("#count").inner_text() == "2 of 6 claims shown"
    assert page.url.endswith("#verdict=refuted")
    page.select_option("#filter-verdict", "unexpected")
    assert shown(page) == {"bad", "crashed"}
    page.select_option("#filter-verdict", "")
    page.select_option("#filter-grade", "numerical")
    assert shown(page) == {"good", "bad", "known"}
    page.select_option("#filter-paper", "second-paper")
    assert shown(page) == set()
    page.get_by_role("button", name="Show all").click()
    assert shown(page) == set(TITLES)


def test_a_filtered_view_has_a_link_of_its_own(visit):
    page = visit("index.html#verdict=verified")
    assert shown(page) == {"good"}
    assert not page.locator("#coverage").is_visible()


def test_permalinks_of_claims(visit):
    page = visit("index.html#first-paper/old")
    assert page.locator("[id='first-paper/old']").is_visible()
    page.locator("[id='first-paper/old'] a.title").click()
    assert page.url.endswith("/first-paper/old.html")
    assert page.locator("h1").inner_text() == TITLES["old"]
    page.get_by_role("link", name="All claims").click()
    assert page.url.endswith("/index.html#first-paper")


def test_next_and_previous(visit):
    page = visit("first-paper/good.html")
    page.locator("a[rel=next]").click()
    assert page.url.endswith("/first-paper/bad.html")
    page.locator("a[rel=prev]").click()
    assert page.url.endswith("/first-paper/good.html")


@pytest.mark.parametrize("name", ["index.html", "first-paper/good.html"])
def test_dark_mode(visit, name):
    backgrounds = [
        visit(name, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    brightness = [sum(map(int, text[4:-1].split(","))) for text in backgrounds]
    assert brightness[0] > 600
    assert brightness[1] < 150


def test_the_keyboard_is_enough(visit):
    page = visit("index.html")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "filter-verdict":
            break
    assert page.evaluate("document.activeElement.id") == "filter-verdict"
    while page.locator("#filter-verdict").input_value() != "refuted":
        page.keyboard.press("ArrowDown")
    assert shown(page) == {"bad", "known"}
    page = visit("first-paper/good.html")
    summary = page.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.evaluate("node => node.parentElement.open")


@pytest.mark.parametrize("name", ["index.html", "first-paper/good.html", "first-paper/crashed.html"])
def test_nothing_is_cut_off_on_a_phone(visit, name):
    page = visit(name, viewport={"width": 360, "height": 700}, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_is_readable_without_scripts(visit):
    page = visit("index.html", java_script_enabled=False)
    assert page.locator(".claim").count() == len(TITLES)
    assert not page.locator("#filter").is_visible()
