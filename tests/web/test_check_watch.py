"""What an agent is shown of checks; guard's side is scripted here."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Playwright, expect

from guard.challenge.commands import Need
from guard.policy.texts import load_texts
from tests.web.conftest import Server, serving
from tests.web.test_call import NARROW
from tests.web.test_check_screen import LANGUAGES, Checked, page_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TEXTS = load_texts()
REASONS = {"pass": "all_commands_matched", "fail": "not_answered", "inconclusive": "no_face"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("data"), GUARD_ANALYSIS__ENABLED="false") as running:
        yield running


@pytest.fixture
def watching(playwright: Playwright, server: Server) -> Iterator[Checked]:
    people = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]
    with server.client(server.token("*", "operator", "operator")) as http:
        made = http.post("/api/v1/sessions", json={"participants": people}).raise_for_status().json()
    link = f"{server.url}/?token={made['participants'][1]['token']}"
    with page_of(playwright, link, NARROW, refused=(409,)) as found:
        yield found


def panel_of(watching: Checked) -> Locator:
    return watching.page.locator('[data-checks="customer"]')


def check(running: bool, kind: str = "visual") -> dict[str, Any]:
    head = {"type": "check", "id": "check-1", "participant": "customer", "by": "agent"}
    return {**head, "kind": kind, "running": running}


def attempt(number: int, result: str) -> dict[str, Any]:
    head = {"type": "challenge", "id": "check-1", "participant": "customer"}
    return {**head, "attempt": number, "result": result, "reason": REASONS[result]}


def mutual(code: str, badge_code: str) -> dict[str, Any]:
    parts = ({"alg": "Ed25519", "kid": "0123456789abcdef"}, {"code": badge_code, "agent": "agent"})
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    message = {"type": "mutual", "id": "check-2", "participant": "customer", "code": code}
    return {**message, "badge": ".".join([*text, "AAAA"]), "text": TEXTS.all("check.mutual")}


def test_every_result_looks_different_is_told_in_words_and_only_a_pass_is_green(watching: Checked) -> None:
    page, panel = watching.page, panel_of(watching)
    watching.script.say(check(True))
    expect(panel.get_by_text("A check is running: Three commands.")).to_be_visible()
    expect(panel.get_by_role("button", name="Run a check")).to_be_disabled()
    assert panel.locator("li").count() == 0, "nothing is said before there is a result"
    for number, result in enumerate(REASONS, 1):
        watching.script.say(attempt(number, result))
    watching.script.say(check(False))
    expect(panel.get_by_role("button", name="Run a check")).to_be_enabled()
    expect(panel.get_by_text("A check is running")).to_be_hidden()
    looks = {}
    for tag, name in LANGUAGES.items():
        page.locator("#languages").get_by_role("button", name=name).click()
        for result, reason in REASONS.items():
            row = panel.locator(f'li[data-result="{result}"]')
            expect(row).to_contain_text(TEXTS.get(f"reason.{reason}", tag))
            looks[result] = row.evaluate(
                "(e) => [getComputedStyle(e).borderTopStyle, getComputedStyle(e).borderTopColor,"
                " e.querySelector('.check-sign').textContent].join()"
            )
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert len(set(looks.values())) == 3
    green = "rgb(23, 96, 58)"
    assert [result for result, look in looks.items() if green in look] == ["pass"]


def test_a_check_that_cannot_begin_says_why_and_the_menu_works_by_keyboard(watching: Checked) -> None:
    panel = panel_of(watching)
    button = panel.get_by_role("button", name="Run a check")
    button.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(panel.get_by_role("combobox", name="Language of the commands")).to_be_focused()
    panel.press("Escape")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(button).to_be_focused()
    button.press("Enter")
    panel.get_by_role("combobox").select_option("kk")
    body = {"participant": "customer", "kind": "words", "language": "kk", "needs": []}
    with watching.page.expect_request("**/challenges") as asked:
        panel.get_by_role("button", name="Read words aloud").press("Enter")
    assert asked.value.post_data_json == body
    expect(panel.locator(".problem")).to_contain_text("That did not work:")
    expect(button).to_be_focused()


def test_what_the_customer_cannot_do_is_named_by_keyboard_and_sent_with_the_check(watching: Checked) -> None:
    page, panel = watching.page, panel_of(watching)
    panel.get_by_role("button", name="Run a check").press("Enter")
    boxes, title = panel.get_by_role("checkbox"), panel.locator("summary")
    expect(title).to_have_text("The customer cannot …")
    assert panel.locator("input[name=need]").evaluate_all("(all) => all.map((e) => e.value)") == list(Need)
    expect(boxes).to_have_count(0)  # collapsed: neither to be seen nor read out
    panel.get_by_role("combobox").press("Tab")
    expect(title).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("group", name="The customer says")).to_be_visible()
    expect(boxes).to_have_count(len(Need))
    panel.get_by_label("I cannot turn my head far").press("Space")
    panel.get_by_label("I cannot bring a hand to my face").press("Space")
    panel.get_by_label("I wear glasses").press("Space")
    panel.get_by_label("I wear glasses").press("Space")
    expect(title).to_have_text("The customer cannot … (2)")
    for tag, name in LANGUAGES.items():  # written anew, with what was ticked
        page.locator("#languages").get_by_role("button", name=name).click()
        expect(page.locator("html")).to_have_attribute("lang", tag)
        expect(panel.locator("input[name=need]:checked:visible")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    with page.expect_request("**/challenges") as asked:
        panel.get_by_role("button", name="Three commands").press("Enter")
    body = {"participant": "customer", "kind": "visual", "language": "en"}
    assert asked.value.post_data_json == {**body, "needs": ["no_hands", "no_turning"]}
    expect(panel.locator(".problem")).to_contain_text("That did not work:")


def test_a_badge_that_does_not_fit_its_code_is_not_to_be_trusted(watching: Checked) -> None:
    card = watching.page.locator("#mutual")
    watching.script.say(mutual("482 913", "482913"))
    expect(card.locator(".mutual-code")).to_have_text("482 913")
    expect(card).to_contain_text("Key: 0123456789abcdef")
    assert card.locator(".problem").count() == 0
    watching.script.say({**mutual("482 913", "111111"), "id": "check-3"})
    expect(card.locator(".problem")).to_have_text("Do not trust this code: its badge does not fit.")
    watching.script.say({**mutual("482 913", "482913"), "id": "check-4", "badge": "nonsense"})
    expect(card.locator(".problem")).to_be_visible()
    end = {"type": "challenge", "id": "check-4", "participant": "customer", "attempt": 1}
    watching.script.say({**end, "result": "inconclusive", "reason": "mutual_unanswered"})
    expect(card).to_contain_text("Repeat the check: the customer did not answer.")
