"""The owner's browser on the dashboard."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize

from tests.support.visitors import House
from tests.support.waiting import BOUND_S

EMAIL, PASSWORD = "owner@example.org", "correct horse battery"
PROBE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
LOADED = "main:not([data-loading])"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
AXE_RUN = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
  ({ id, nodes }) => id + ": " + nodes.map(({ target }) => target.join(" ")).join(", "))"""
PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""
"""When there was something to see, in ms."""
_PAINTS = 20
WATCH = """
document.addEventListener("securitypolicyviolation",
  ({ violatedDirective, blockedURI }) => console.error("CSP", violatedDirective, blockedURI));
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """The owner's browser, signed in, and everything that its pages complained about."""

    page: Page
    url: str
    complaints: list[str]

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.url}/dashboard{path}")
        await self.page.wait_for_selector(LOADED)

    async def text_of(self, selector: str) -> str:
        return await self.page.locator(selector).inner_text()

    async def violations(self, where: str) -> list[str]:
        """What axe finds on the page as it stands, and whether it is wider than the screen."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE)
        found = [f"{where}: {violation}" for violation in await self.page.evaluate(AXE_RUN)]
        if await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{where}: wider than the screen")
        return found


async def desk_in(browser: Browser, house: House, **options: Any) -> Desk:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
    await context.add_init_script(WATCH)
    page = await context.new_page()
    page.set_default_timeout(BOUND_S * 1000)
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(house.url)
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_selector(LOADED)
    return Desk(page, house.url, complaints)


async def paints_within(page: Page, look: Callable[[], Awaitable[object]], bound_ms: float) -> bool:
    """Whether something is seen in time, once in some tries: what is measured is the page, not who else uses
    this machine."""
    for _ in range(_PAINTS):
        await look()
        if await page.evaluate(PAINTED) < bound_ms:
            return True
    return False
