"""The page in a browser: search, pick items, see the list change at once, see why; the same without a script."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from page_samples import Served, answering, opened, serving, wait_for_history


def ids_of(page: Any) -> list[str]:
    return [str(card.get_attribute("data-item")) for card in page.query_selector_all(".card")]


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def test_searching_and_picking_an_item_shows_the_list_of_that_history(page: Any, served: Served) -> None:
    page.goto(served.address)
    assert page.text_content("h1") == "What goes with what you like?"
    page.type("#q", "cafe")
    page.click("#results a >> text=Alpha Café")  # as soon as it appears: key presses may still be unhandled
    page.wait_for_selector(".card")
    assert page.url.endswith("/?item=120&q=cafe")
    expected = served.engines["films"].snapshot.fold_in([120], 12)["item"].to_list()
    assert ids_of(page) == [str(item) for item in expected]
    assert page.text_content("#history .name") == "Alpha Café"
    assert page.input_value("#q") == "cafe"  # so that another item can be picked


def test_adding_and_removing_change_list_and_address_without_loading_the_page(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?item=101&item=117")
    page.evaluate("window.loadedOnce = true")
    before = ids_of(page)
    page.click("#add-1")
    wait_for_history(page, 3)
    assert before[0] not in ids_of(page)
    assert page.url.endswith(f"/?item=101&item=117&item={before[0]}")
    assert page.text_content("#status").startswith("12 recommendations for a history of 3 items")
    page.click("#history-1")
    wait_for_history(page, 2)
    assert ids_of(page) == before
    page.go_back()
    wait_for_history(page, 3)
    assert page.evaluate("window.loadedOnce") is True


def test_no_quick_click_or_key_is_lost(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?item=101&item=117&item=110")
    added = [ids_of(page)[2], ids_of(page)[4]]
    page.type("#q", "alpha")
    page.evaluate("for (const id of ['add-3', 'add-5', 'history-3']) document.getElementById(id).click()")
    wait_for_history(page, 4)
    page.wait_for_selector("#results >> text=Alpha Café")
    assert [item for item in page.url.partition("?")[2].split("&") if item.startswith("item=")] == [
        "item=117",
        "item=110",
        *(f"item={item}" for item in added),
    ]
    assert page.input_value("#q") == "alpha"
    assert not set(added) & set(ids_of(page))


def test_the_history_of_a_user_can_be_changed_and_restored(page: Any, served: Served) -> None:
    page.goto(served.address)
    page.fill("#user", "3")
    page.press("#user", "Enter")
    page.wait_for_selector("h1 >> text=Recommended for user\u00a03")
    assert page.url.endswith("/?user=3")
    before, n_items = ids_of(page), int(page.text_content("#history .count"))
    first = page.text_content("#history .name")
    page.click("#history-1")
    page.wait_for_selector("h1 >> text=with a changed history")
    assert page.text_content("#history .removed .name") == first
    page.click("text=Undo changes")
    wait_for_history(page, n_items)
    assert ids_of(page) == before


@pytest.mark.parametrize("address", ["/?user=3", "/?item=101&item=117&item=110"], ids=["user", "history"])
def test_the_shown_reasons_add_up_to_the_shown_score(page: Any, served: Served, address: str) -> None:
    page.goto(served.address + address)
    page.click("#why-2 summary")
    contributions = [number(cell.text_content()) for cell in page.query_selector_all("#why-2 [data-adds]")]
    pieces = [number(value.text_content()) for value in page.query_selector_all("#why-2 .pieces dd")]
    score = number(page.text_content("#card-2 .card-head .score").replace("score", ""))
    # Each number may differ by half of its last digit.
    assert sum(contributions) == pytest.approx(score, abs=0.005 + 0.0005 * len(contributions))
    assert sum(pieces) == pytest.approx(score, abs=0.005 * (1 + len(pieces)))
    assert number(page.text_content("#why-2 tfoot .num")) == pytest.approx(score, abs=0.0055)


def test_pointing_at_a_card_splits_its_score_by_time(page: Any, served: Served) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{served.address}/?user=3")
    opacity = "name => getComputedStyle(document.querySelector(`#card-1 .${name}`)).opacity"
    assert (page.evaluate(opacity, "split"), page.evaluate(opacity, "plain")) == ("0", "1")
    page.hover("#card-1")
    assert (page.evaluate(opacity, "split"), page.evaluate(opacity, "plain")) == ("1", "0")
    page.hover("h1")
    page.focus("#add-1")
    assert page.evaluate(opacity, "split") == "1"
    widths = page.eval_on_selector_all(
        "#card-1 .split rect", "all => all.map(one => one.getBoundingClientRect().width)"
    )
    whole = page.eval_on_selector("#card-1 .plain", "one => one.getBoundingClientRect().width")
    assert len(widths) >= 3
    assert whole > 0


@pytest.mark.parametrize("rank", [2, 3])
def test_an_open_explanation_leaves_no_hole_and_keeps_the_order(page: Any, served: Served, rank: int) -> None:
    """Row by row and left to right the cards are in the order of their ranks, and each row fills the list."""
    page.goto(f"{served.address}/?item=101&item=117")
    rows = "all => all.map(card => card.getBoundingClientRect()).map(box => [box.top, box.left, box.right, box.bottom])"
    closed = page.eval_on_selector_all(".cards .card", rows)
    assert closed[0][0] == closed[1][0]
    page.click(f"#why-{rank} summary")
    boxes = page.eval_on_selector_all(".cards .card", rows)
    left, right = closed[0][1], closed[1][2]
    assert boxes == sorted(boxes)
    assert (boxes[rank - 1][1], boxes[rank - 1][2]) == pytest.approx((left, right))
    for top in {box[0] for box in boxes[: len(boxes) // 2 * 2]}:
        row = [box for box in boxes if box[0] == top]
        assert (row[0][1], row[-1][2]) == pytest.approx((left, right))
        assert len({box[3] for box in row}) == 1


def test_an_open_explanation_stays_open_when_the_list_changes(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?item=101&item=117")
    item = ids_of(page)[1]
    page.click("#why-2 summary")
    page.click("#add-3")
    wait_for_history(page, 3)
    assert page.get_attribute(f'[data-item="{item}"] details', "open") == ""


def test_similar_items_are_shown_and_can_be_added(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?user=3")
    item = ids_of(page)[0]
    page.click("#similar-1")
    page.wait_for_selector("#similar")
    snapshot = served.engines["films"].snapshot
    titles = [name.text_content() for name in page.query_selector_all("#similar .near .name")]
    assert titles == snapshot.similar_items(item, 8)["title"].to_list()
    assert page.evaluate("document.activeElement.id") == "similar-heading"
    n_items = int(page.text_content("#history .count"))
    page.click("#similar .near a.pick")
    wait_for_history(page, n_items + 1)
    page.click("#close-similar")
    page.wait_for_selector("#similar", state="detached")


def test_a_newer_model_answers_while_the_page_is_open(
    page: Any, runs: dict[str, Path], tmp_path: Path, served: Served
) -> None:
    copy = Path(shutil.copytree(runs["films"], tmp_path / "films"))
    with serving(copy) as server:
        page.goto(f"{server.address}/?item=101&item=117")
        before = page.text_content(".card .score")
        shutil.copy(runs["again"] / "model.safetensors", copy / "new")
        (copy / "new").replace(copy / "model.safetensors")
        server.engines["films"].refresh()
        page.click("#add-1")
        wait_for_history(page, 3)
        page.click("#history-1")
        wait_for_history(page, 2)
        assert page.text_content(".card .score") != before
        expected = served.engines["again"].snapshot.fold_in([101, 117], 12)["item"].to_list()
        assert ids_of(page) == [str(item) for item in expected]
        page.goto(f"{server.address}/model")
        assert page.text_content(".facts") is not None
        assert server.engines["films"].snapshot.version[:12] in page.text_content(".facts")


def test_a_page_whose_fragments_fail_loads_the_address_itself(page: Any, runs: dict[str, Path]) -> None:
    with serving(runs["films"]) as server:
        page.goto(f"{server.address}/?item=101")
        page.route("**/fragment*", lambda route: route.abort())
        with page.expect_navigation():
            page.click("#add-1")  # the browser loads the address itself
        assert page.query_selector_all(".card")


def test_everything_works_without_a_script(browser: Any, served: Served) -> None:
    with opened(browser, java_script_enabled=False) as page:
        page.goto(served.address)
        page.fill("#q", "alpha")
        page.click("#search button")
        page.click("#found-1")
        assert page.text_content("#history .name") == "Alpha Café"
        page.click("#add-1")
        assert len(page.query_selector_all("#history .rows li")) == 2
        page.click("#history-2")
        assert len(page.query_selector_all("#history .rows li")) == 1
        page.click("#why-1 summary")
        assert page.is_visible("#why-1 table")
        page.click("#similar-1")
        assert page.url.endswith("#similar")
        page.fill("#user", "3")
        page.click(".second button")
        assert page.text_content("h1") == "Recommended for user\u00a03"
        page.click("nav >> text=Model")
        assert page.text_content("h1") == "What the model learned"


def test_an_unknown_user_is_reported_on_the_page(page: Any, served: Served) -> None:
    page.goto(served.address)
    page.fill("#user", "nobody")
    page.press("#user", "Enter")
    page.wait_for_selector("h1 >> text=No such user")
    assert "User 'nobody' was not in training." in page.text_content("#list")
    assert "User 'nobody' was not in training." in page.text_content("#status")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/?user=nobody", 404, "was not in training"),
        ("/?k=0", 422, "must be in 1..60, got 0"),
        ("/?run=none", 422, "must be one of films, again"),
        ("/static/page.py", 404, ""),
        ("/static/..%2Froutes.py", 404, ""),
    ],
    ids=["user", "k", "run", "file", "outside"],
)
def test_wrong_addresses_have_a_status_and_reason(
    browser: Any, served: Served, path: str, status: int, text: str
) -> None:
    context = browser.new_context()
    answer = context.request.get(served.address + path)
    assert (answer.status, text in answer.text()) == (status, True)
    context.close()


def test_a_model_that_cannot_explain_says_so_on_the_page(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?run=mult-vae&item=101")
    assert "No reasons are shown" in page.text_content(".notice")
    assert page.query_selector(".why") is None
    page.goto(f"{served.address}/?run=neumf&item=101")
    assert "no way from a history to a user" in page.text_content(".notice")


def test_items_without_titles_are_shown_by_their_ids(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?run=ids&q=12")
    names = [name.text_content() for name in page.query_selector_all("#results .name")]
    assert sorted(names) == ["112", "120", "121", "122", "123"]


def test_the_model_page_shows_response_times_curves_and_metrics(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/model")
    snapshot = served.engines["films"].snapshot
    times = list(snapshot.model.learned().values())[:2]
    strip = page.text_content(".times title")
    assert f"t₁ {times[0]:.2f}, t₂ {times[1]:.2f}" in strip
    assert len(page.query_selector_all(".chart")[0].query_selector_all(".line")) == 2 * (1 + 4)  # with their legend
    assert page.text_content("#recall-title") == "Validation: recall@20"
    rows = page.query_selector_all(".metrics tbody tr")
    assert re.match(r"recall@\d+", rows[0].text_content())
    assert "items are in somebody’s list" in page.text_content(".stack")


def test_two_runs_are_compared_with_intervals_and_lists(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/?item=101&item=117")
    page.click("nav >> text=Compare")
    assert [head.text_content() for head in page.query_selector_all(".compared th[scope=col]")][1:3] == [
        "films",
        "again",
    ]
    lists = page.query_selector_all(".beside ol")
    for run, listed in zip(("films", "again"), lists, strict=True):
        expected = served.engines[run].snapshot.fold_in([101, 117], 12)["title"].to_list()
        assert [name.text_content() for name in listed.query_selector_all(".name")] == expected
    first = page.query_selector_all(".compared tbody tr")[0]
    assert re.search(r"[+−]0\.\d{4} to [+−]0\.\d{4}", first.text_content())


def test_the_page_works_where_the_application_is_mounted(page: Any, served: Served, runs: dict[str, Path]) -> None:
    from fastapi import FastAPI

    from ltocf.service.app import create_app

    site = FastAPI()
    site.mount("/films", create_app(runs["films"]))
    with answering(site) as address:
        page.goto(f"{address}/films/")
        page.click("#starter-1")
        wait_for_history(page, 1)
        page.fill("#q", "alpha")
        page.wait_for_selector("#results >> text=Alpha Café")
        assert page.url.startswith(f"{address}/films/?item=")
        page.click("nav >> text=Model")
        assert page.url == f"{address}/films/model"
