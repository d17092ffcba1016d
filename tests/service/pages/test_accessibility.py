"""The page with a keyboard, a screen reader, on a phone, in light and dark, and with hostile titles."""

from __future__ import annotations

from typing import Any

import pytest

from page_samples import AXE, HOSTILE, Served, opened, wait_for_history

STATES = {
    "start": "/",
    "search": "/?q=film&item=101&k=2",
    "user": "/?user=3&similar=101&k=4",
    "unknown": "/?user=nobody",
    "error": "/?k=0",
    "model": "/model",
    "compare": "/compare?user=3&k=3",
    "hostile": "/?run=hostile&k=6&" + "&".join(f"item={100 + place}" for place in range(len(HOSTILE))),
}
DARK = ("search", "user", "unknown", "model", "compare")
"""States that together have every colour."""


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make .npm/.axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, served: Served, scheme: str) -> None:
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}  # only colours differ
    with opened(browser, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce") as page:
        violations: dict[tuple[str, str], str] = {}
        for state, address in STATES.items():
            if scheme == "dark" and state not in DARK:
                continue
            page.goto(served.address + address)
            page.evaluate("document.querySelectorAll('details').forEach((one, place) => { one.open = place < 2 })")
            page.add_script_tag(path=str(AXE))
            found = page.evaluate("rules => axe.run(rules).then(result => result.violations)", rules)
            violations |= {
                (state, violation["id"]): violation["nodes"][0]["html"]
                for violation in found
                if violation["impact"] in ("serious", "critical")
            }
        assert violations == {}


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(browser: Any, served: Served, width: int) -> None:
    with opened(browser, viewport={"width": width, "height": 740}) as page:
        for state, address in STATES.items():
            page.goto(served.address + address)
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, state


def test_searching_picking_and_removing_works_by_keyboard_alone(page: Any, served: Served) -> None:
    page.goto(served.address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.focus("#q")
    page.keyboard.type("film 1")
    page.wait_for_selector("#found-2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "found-2"
    page.keyboard.press("ArrowUp")
    picked = page.text_content("#found-1 .name")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    assert page.text_content("#history .name") == picked
    assert page.evaluate("document.activeElement.id") == "found-1"  # the focus has not moved
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "q"
    page.focus("#why-1 summary")
    page.keyboard.press("Enter")
    assert page.is_visible("#why-1 table")
    page.focus("#history-1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card", state="detached")
    assert page.evaluate("document.activeElement.id") == "list-heading"


def test_the_focus_keeps_its_place_after_a_change(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?item=101&item=117&item=110")
    page.focus("#history-3")
    page.keyboard.press("Enter")
    wait_for_history(page, 2)
    assert page.evaluate("document.activeElement.id") == "history-2"
    page.focus("#add-2")
    page.keyboard.press("Enter")
    wait_for_history(page, 3)
    assert page.evaluate("document.activeElement.id") == "add-2"


def test_hostile_titles_are_shown_as_text(page: Any, served: Served) -> None:
    addresses = "&".join(f"item={100 + place}" for place in range(len(HOSTILE)))
    page.goto(f"{served.address}/?run=hostile&{addresses}")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    names = [name.text_content() for name in page.query_selector_all("#history .name")]
    expected = [" ".join(title.split()) or str(100 + place) for place, title in enumerate(HOSTILE)]
    assert names == expected[::-1]
    assert page.title() == "Recommended for this history – LT-OCF"
    assert page.query_selector("main script, main img, main b") is None
    assert all(name.evaluate("one => one.tagName") == "BDI" for name in page.query_selector_all(".name"))


def test_a_hostile_address_is_shown_as_text(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?q=%3Cscript%3Ealert(1)%3C/script%3E&item=%22%3E%3Cimg%20src=x%3E&item=101&user=3")
    assert page.input_value("#q") == "<script>alert(1)</script>"
    assert 'No item "><img src=x> is in this model' in page.text_content(".notice")
    assert page.query_selector("main script, main img") is None


def test_the_policy_allows_only_the_page_s_own_script(browser: Any, served: Served) -> None:
    context = browser.new_context()
    for path in ("/", "/model", "/compare", "/fragment?item=101", "/search?q=a", "/?k=0"):
        answer = context.request.get(served.address + path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "style=" not in answer.text()
        assert "javascript:" not in answer.text()
    page = context.new_page()
    page.goto(served.address)
    script = "const script = document.createElement('script'); script.textContent = 'window.ran = 1'"
    page.evaluate(f"() => {{ {script}; document.body.append(script) }}")
    assert page.evaluate("window.ran") is None
    context.close()
