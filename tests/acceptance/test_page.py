"""The page of a running shop in a real browser, while orders come in and the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect
from support import copy_of, missing

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
CUSTOMER = "8a5f4f0e-52a3-4d0a-b6c8-54b3c6a2a1d4"
PAYLOADS = ["<img src=x onerror=hacked=1>", "<script>hacked=1</script>", "javascript:hacked=1"]

pytestmark = pytest.mark.browser


@pytest.fixture
async def page():
    """A page of a browser, which keeps what it complains about in `complaints`."""
    if not CHROMIUM.exists():
        message = f"NO BROWSER: {CHROMIUM} is missing, the page is NOT tested (apt-get install chromium)"
        missing(message)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(10_000)
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.complaints = complaints
        yield page
        await browser.close()


@pytest.fixture
async def shop(serve, tmp_path):
    """A shop that follows its file."""
    server = serve(copy_of("shop.tsk", tmp_path))
    await server.start()
    return server


async def place(client, *skus: str) -> dict:
    """Place one order."""
    lines = [{"sku": sku, "quantity": 2, "price": "7.50"} for sku in skus]
    answer = await client.post("/api/commands/PlaceOrder", json={"customer_id": CUSTOMER, "lines": lines})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def opened(page, shop) -> None:
    """Follow the printed link."""
    await page.goto(shop.page)
    await page.wait_for_selector('#connection[data-state="live"]')


async def test_a_person_follows_what_happens(page, shop, tmp_path):
    """Events arrive, positions move, the pause holds, and a broken edit shows its error until a good one."""
    await opened(page, shop)
    assert page.url == f"{shop.url}/", "the token does not stay in the address"
    assert "shop" in await page.title()
    assert await page.is_visible("text=No events yet.")

    async with shop.client() as client:
        order = await place(client, "mug", "tea")
        await page.wait_for_selector(".tail li >> text=OrderPlaced")
        ship = {"aggregate_id": order["aggregate_id"], "carrier": "dhl"}
        assert (await client.post("/api/commands/ShipOrder", json=ship)).status_code == 200
        await page.wait_for_selector(".tail li:first-child >> text=OrderShipped")
        await page.click(".tail li:last-child summary")
        shown = await page.inner_text(".expanded >> nth=0")
        assert '"sku": "mug"' in shown
        assert order["aggregate_id"] in shown

        # The bus and four projections.
        positions = page.locator('#parts td[data-label="Position"]')
        await expect(positions).to_have_text(["2"] * 5)
        assert await page.inner_text("#head") == "2"

        await page.click("#pause")
        for _ in range(7):
            await place(client, "pen")
        await page.wait_for_selector("#missed >> text=7 new")
        assert await page.locator(".tail li").count() == 2
        await expect(positions).to_have_text(["9"] * 5)
        await page.click("#pause")
        await expect(page.locator(".tail li")).to_have_count(9, timeout=20_000)

        text = shop.file.read_text()
        shop.file.write_text(text.replace("row.quantity + line.quantity", "row.quantty + line.quantity"))
        await page.wait_for_selector("#rejected >> text=quantty")
        rejected = await page.inner_text("#rejected-text")
        assert "shop.tsk:" in rejected
        assert "quantity" in rejected, "it says what was meant"
        await page.screenshot(path=tmp_path / "rejected.png", full_page=True)
        print(f"picture: {tmp_path / 'rejected.png'}")
        await place(client, "cup")
        await page.wait_for_selector(".tail li:first-child >> text=OrderPlaced")

        shop.file.write_text(text + '\n[queries.all_sold]\nfrom: "sold"\n')
        await page.wait_for_selector("#changed >> text=new generation")
        await page.wait_for_selector("#rejected", state="hidden")
        assert await page.inner_text("#generation") == "2"
        await page.click("#changed a")
        await page.wait_for_selector("text=all_sold")
    assert page.complaints == []


async def test_no_payload_runs(page, shop):
    """What customers write is text, in events as in errors."""
    await opened(page, shop)
    async with shop.client() as client:
        order = await place(client, *PAYLOADS)
        long = {"aggregate_id": order["aggregate_id"], "reason": "<svg onload=hacked=1>" * 5}
        assert (await client.post("/api/commands/CancelOrder", json=long)).status_code == 200
    await expect(page.locator(".tail li")).to_have_count(2, timeout=20_000)
    for summary in await page.query_selector_all(".tail summary"):
        await summary.click()
    await expect(page.locator(".expanded")).to_have_count(2, timeout=20_000)
    shown = await page.inner_text("#tail")
    for payload in PAYLOADS:
        assert payload in shown
    text = shop.file.read_text()
    shop.file.write_text(text.replace('emit: "OrderShipped"', f'emit: "{PAYLOADS[0]}"'))
    await page.wait_for_selector("#rejected-text >> text=onerror")
    await page.wait_for_timeout(300)
    assert await page.evaluate("typeof hacked") == "undefined"
    assert (
        await page.evaluate("document.querySelectorAll('.tail img, .tail script, #rejected img').length") == 0
    )
    assert page.complaints == [], "the content security policy had nothing to stop"


async def test_the_page_comes_back_after_a_kill(page, shop):
    """The server dies and starts again on its port: the page goes on where it was, with the same session."""
    await opened(page, shop)
    async with shop.client() as client:
        await place(client, "mug")
    await page.wait_for_selector(".tail li >> text=OrderPlaced")
    shop.kill()
    await page.wait_for_selector('#connection[data-state="lost"]')
    assert await page.is_visible("#lost")
    shop.listen_again()
    await shop.start()
    async with shop.client() as client:
        await place(client, "tea")
    await page.wait_for_selector('#connection[data-state="live"]', timeout=20_000)
    await expect(page.locator(".tail li")).to_have_count(2, timeout=20_000)
    assert not await page.is_visible("#lost")


async def test_without_the_token_there_is_nothing(page, shop):
    """The bare address says how to get in, and shows nothing of the application."""
    answer = await page.goto(shop.url)
    assert answer.status == 401
    assert "shop" not in (await page.content()).lower()
