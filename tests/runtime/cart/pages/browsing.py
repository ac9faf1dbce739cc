"""What the tests of the pages do in a browser: sign in, and wait for what a page comes to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.cart.demo.parts import PIN
from tests.runtime.cart.driving import until

PATIENCE_MS = 300_000


def opened(browser: Any, url: str, context: Any = None, user: str = "") -> Any:
    """A tab, signed in where its browser is not yet: as that user, or as the first."""
    page = (context or browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.wait_for_selector("#pin, nav")
    if page.locator("#pin").count():
        if user:
            page.select_option("#user", user)
        page.fill("#pin", PIN)
        page.keyboard.press("Enter")
        page.wait_for_selector("nav")
    return page


def go(page: Any, screen: str) -> None:
    """Have a screen shown; asked for again where the page does not know yet of the exam that it is of."""
    page.evaluate(f"location.hash = '{screen}'")
    there = page.locator(f"nav a.here[href='#{screen}']")

    def shown() -> bool:
        if there.count():
            return True
        page.wait_for_timeout(100)
        page.evaluate(f"location.hash = '{screen}'")
        return False

    until(shown, screen)


def holds(page: Any, expression: str) -> None:
    """Wait until it is true in the page, whose own policy forbids that Playwright asks it in there.

    What it asks about may be away for a moment, while a part is drawn anew: then it is not true yet.
    """
    tried = f"(() => {{ try {{ return {expression} }} catch (e) {{ if (!(e instanceof TypeError)) throw e }} }})()"
    until(lambda: page.evaluate(tried) or page.wait_for_timeout(50), expression)


def says(page: Any, selector: str, words: str) -> None:
    """Wait until the first element of a selector says the words: a page may still be at those of a moment before."""
    until(
        lambda: words in page.locator(selector).first.inner_text() or page.wait_for_timeout(50), f"{selector}: {words}"
    )


def gone(page: Any, *selectors: str) -> None:
    """Wait until nothing in the page is any of these (CSS): what goes, goes a moment after what comes."""
    holds(page, f"!document.querySelector({', '.join(selectors)!r})")


@contextmanager
def unanswered(page: Any, address: str) -> Iterator[None]:
    """What the page asks of that address meanwhile is answered only at the end."""
    held: list[Any] = []
    over: list[bool] = []
    page.route(address, lambda route: route.continue_() if over else held.append(route))
    yield
    over.append(True)
    for route in held:
        route.continue_()
