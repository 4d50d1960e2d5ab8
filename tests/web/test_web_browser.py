"""The first page in a real browser: events appear, the pause holds, and no payload ever runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect
from support import missing
from web_fakes import TOKEN, FakeService, PartStatus

from tusk_runtime.web import HttpServer, Security, create_app

CHROMIUM = Path("/usr/bin/chromium")
PAYLOADS = [
    "<script>window.hacked=1</script>",
    '<img src=x onerror="window.hacked=1">',
    "javascript:window.hacked=1",
]

pytestmark = pytest.mark.browser


@pytest.fixture
async def browser():
    if not CHROMIUM.exists():
        message = f"NO BROWSER: {CHROMIUM} is missing, the page is NOT tested here (apt-get install chromium)"
        missing(message)
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
async def server(service: FakeService):
    server = HttpServer(create_app(service, Security(TOKEN)), port=0)
    await server.start()
    yield server
    await server.stop(1.0)


@pytest.fixture
async def page(browser, server):
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    yield page
    await page.close()


async def opened(page, server) -> None:
    await page.goto(f"{server.url}/?token={TOKEN}")
    await page.wait_for_selector('#connection[data-state="live"]')


async def test_events_appear_pause_and_come_back(page, server, service, tmp_path):
    await opened(page, server)
    assert page.url == f"{server.url}/", "the token is not left in the address bar"
    assert await page.is_visible("text=No events yet.")
    service.next("OrderPlaced", {"customer": "ada"})
    await page.wait_for_selector(".tail li >> text=OrderPlaced")
    assert not await page.is_visible("text=No events yet.")
    service.next("OrderPaid")
    await page.wait_for_selector(".tail li:first-child >> text=OrderPaid")

    await page.click("#pause")
    for _ in range(12):
        service.next("OrderShipped")
    await page.wait_for_selector("#missed >> text=12 new")
    assert await page.locator(".tail li").count() == 2
    await page.click("#pause")
    await page.wait_for_selector(".tail li:first-child >> text=OrderShipped")
    assert await page.locator(".tail li").count() == 14

    await page.click(".tail li:last-child summary")
    assert '"customer": "ada"' in await page.inner_text(".expanded pre >> nth=0")
    await page.screenshot(path=tmp_path / "page.png", full_page=True)

    await page.fill("#filter", "paid")
    await expect(page.locator(".tail li")).to_have_count(1)
    service.next("OrderPlaced")
    service.next("OrderPaid")
    await expect(page.locator(".tail li")).to_have_count(2)
    await page.fill("#filter", "nothing")
    await page.wait_for_selector("text=No event has such a type.")
    assert page.complaints == []


async def test_only_so_many_rows_are_kept(page, server, service):
    await opened(page, server)
    for _ in range(1000):
        service.next()
    await page.wait_for_selector(".tail li:first-child >> text=/^1000$/")
    assert await page.locator(".tail li").count() == 200
    assert page.complaints == []


async def test_no_payload_runs(page, server, service):
    payload = PAYLOADS[0]
    service.rejected = payload
    service.application.name = payload
    service.parts = [PartStatus(text, text, "failed", error=text, detail=text) for text in PAYLOADS]
    await opened(page, server)
    for text in PAYLOADS:
        service.next(text, {text: text, "nested": [{text: text}]}, aggregate_id=text, aggregate_type=text)
    await expect(page.locator(".tail li")).to_have_count(3)
    for summary in await page.query_selector_all(".tail summary"):
        await summary.click()
    await expect(page.locator(".expanded")).to_have_count(3)
    await page.wait_for_timeout(1500)
    assert await page.inner_text(".tail li:last-child .type") == payload
    assert await page.evaluate("window.hacked") is None
    assert await page.evaluate("document.querySelectorAll('.tail img, .tail script, .tail a').length") == 0
    assert page.complaints == [], "the content security policy had nothing to stop"


async def test_the_status_follows(page, server, service):
    await opened(page, server)
    broken = PartStatus("orders", "projection", "failed", position=3, lag=12345, error="why it failed")
    service.parts = [broken]
    service.rejected = "error: no such field\n  --> shop.tsk:1:2"
    service.generation = 2
    await page.wait_for_selector("#parts >> text=why it failed")
    assert await page.inner_text("#parts .lag") == "12\u202f345"
    assert "--> shop.tsk:1:2" in await page.inner_text("#rejected-text")
    assert await page.is_visible("#changed")
    assert page.complaints == []


async def test_a_lost_connection_comes_back_where_it_was(page, server, service):
    await opened(page, server)
    service.next("OrderPlaced")
    await page.wait_for_selector(".tail li >> text=OrderPlaced")
    port = server.address[1]
    await server.stop(0.1)
    await page.wait_for_selector('#connection[data-state="lost"]')
    assert await page.is_visible("#lost")
    service.next("OrderPaid")
    again = HttpServer(create_app(service, Security(TOKEN)), port=port)
    await again.start()
    try:
        await page.wait_for_selector(".tail li:first-child >> text=OrderPaid", timeout=20_000)
        await page.wait_for_selector('#connection[data-state="live"]')
        assert await page.locator(".tail li").count() == 2
        assert not await page.is_visible("#lost")
    finally:
        await again.stop(0.5)


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_the_window(page, server, service, width, scheme):
    service.rejected = "x" * 300
    service.parts.append(PartStatus("a_long_name_" * 5, "projection", "failed", error="y" * 300))
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    await opened(page, server)
    service.next("AVeryLongEventType" * 5, {"text": "z" * 500}, aggregate_id="i" * 200)
    await page.click(".tail summary")
    await page.click(".calls summary")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
