"""Active checks from the agent's button to the agent's result: a real ``guard serve`` and two browsers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, Playwright, ViewportSize, expect

from guard.challenge.commands import CheckKind, Gesture, Need
from guard.challenge.draw import choices
from guard.policy.texts import load_texts
from tests.web.actor import put_before_camera, render
from tests.web.conftest import Server, serving
from tests.web.media import FakeDevices
from tests.web.test_call import NARROW, Stage, Visitor, keep, wait_until  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.timeout(480)]

NEEDS = {Need.NO_SIGHT: "I cannot see the screen", Need.NO_SPEECH: "I cannot speak aloud"}
MIDDLE: ViewportSize = {"width": 800, "height": 680}
CHECK_S = 120.0
# two browsers, the relay and the analysis share the machine with whatever else runs there: where it cannot
# keep up, the check rightly says so, and begins anew in another call
TRIES, TOO_SLOW = 3, "too_few_pictures"
REASONS = load_texts().with_prefix("reason.", "en")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # two browsers and the analysis on two cores: a late heartbeat is not what is tested here
    patience = {"HEARTBEAT_TIMEOUT_S": "30", "HANG_TIMEOUT_S": "30", "START_TIMEOUT_S": "120"}
    settings = {f"GUARD_ANALYSIS__WORKER__{name}": value for name, value in patience.items()}
    # what else is looked for in faces is not looked for here; the points for checks are followed as ever
    settings["GUARD_ANALYSIS__FACE__RATE_HZ"] = "1"
    with serving(tmp_path_factory.mktemp("data"), **settings) as running:
        yield running


@pytest.fixture
def stage(server: Server, playwright: Playwright, devices: dict[str, FakeDevices]) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(server, playwright, devices, stack)


@pytest.fixture(scope="module")
def clips() -> str:
    return render(choices(CheckKind.VISUAL, list(NEEDS)))


def begin(stage: Stage, clips: str, size: ViewportSize = NARROW) -> tuple[Visitor, Visitor, Locator]:
    """Both join; returns customer, agent and the agent's panel for the customer."""
    customer = stage.enter("customer", None, size, prepare=partial(put_before_camera, clips=clips))
    agent = stage.enter("agent", None, NARROW)
    for visitor in (customer, agent):
        visitor.join()
    wait_until(agent.page, lambda: agent.decoded("customer") > 0, "the customer's picture", 20)
    return customer, agent, agent.page.locator('[data-checks="customer"]')


def start(panel: Locator, kind: str, cannot: str = "") -> None:
    panel.get_by_role("button", name="Run a check").click()
    if cannot:
        panel.get_by_text("The customer cannot").click()
        panel.get_by_label(cannot).check()
    panel.get_by_role("button", name=kind).click()
    expect(panel.get_by_role("status").filter(has_text="A check is running")).to_be_visible(timeout=15_000)


def ended(panel: Locator, page: Page) -> str:
    """Wait for the end of a check; returns the result of its last attempt."""
    told = panel.locator("li")
    over = partial(panel.get_attribute, "data-running")
    wait_until(page, lambda: told.count() > 0 and over() == "false", "the end of the check", CHECK_S)
    return str(told.last.get_attribute("data-result"))


def test_somebody_who_does_what_is_asked_passes_and_the_agent_reads_it(
    server: Server,
    playwright: Playwright,
    devices: dict[str, FakeDevices],
    clips: str,
    keep: Callable[[Page, str], None],  # noqa: F811
) -> None:
    reasons: list[str] = []
    for _ in range(TRIES):
        with ExitStack() as stack:
            reasons = answered(Stage(server, playwright, devices, stack), clips, keep)
        if reasons[-1] != TOO_SLOW:
            break
    assert reasons[-1] == "all_commands_matched", reasons


def answered(stage: Stage, clips: str, keep: Callable[[Page, str], None]) -> list[str]:  # noqa: F811
    """Lead the rendered customer through a check by both pages; returns the reason of each attempt."""
    size = MIDDLE if os.environ.get("WRITE_IMAGES") == "1" else NARROW
    customer, agent, panel = begin(stage, clips, size)
    start(panel, "Three commands")
    screen = customer.page.locator("#check")
    expect(screen).to_contain_text("A short check begins")
    screen.get_by_role("button", name="I cannot do this").click()
    for label in NEEDS.values():
        screen.get_by_label(label).check()
    screen.get_by_role("button", name="Ask for other commands").click()
    asked = customer.page.locator("#check-picture svg")
    expect(asked).to_be_visible(timeout=20_000)
    gesture = Gesture(str(asked.get_attribute("data-gesture")))
    assert gesture in choices(CheckKind.VISUAL, list(NEEDS))
    for tag, name in (("kk", "Қазақша"), ("ru", "Русский"), ("en", "English")):
        screen.get_by_role("button", name=name).click()
        expect(customer.page.locator("html")).to_have_attribute("lang", tag)
        keep(customer.page, f"check-{tag}")
    result = ended(panel, agent.page)
    rows = panel.locator("li").all()
    reasons = [str(row.get_attribute("data-reason")) for row in rows]
    for row, reason in zip(rows, reasons, strict=True):
        assert REASONS[reason] in str(row.text_content()), "the code stands there instead of words"
    if reasons[-1] != TOO_SLOW:
        assert result == "pass", reasons
        expect(panel.locator("li").last).to_contain_text(re.compile(r"Attempt \d+: passed\. \w+"))
        expect(customer.page.locator("#check-result")).to_have_text("Thank you, the check is done.")
        customer.page.get_by_role("button", name="Back to the call").click()
        expect(screen).to_be_hidden()
    assert customer.problems == agent.problems == []
    return reasons


def test_somebody_who_does_nothing_fails_an_attempt_and_a_hung_up_check_has_no_result(
    stage: Stage, clips: str
) -> None:
    customer, agent, panel = begin(stage, clips)
    customer.page.evaluate("window.answering = false")
    start(panel, "Hand and head turn", cannot="I cannot bring a hand to my face")
    asked = customer.page.locator("#check-picture svg")
    expect(asked).to_be_visible(timeout=20_000)
    gesture = Gesture(str(asked.get_attribute("data-gesture")))
    assert gesture in choices(CheckKind.OCCLUSION, [Need.NO_HANDS])
    first = panel.locator("li").first
    expect(first).to_be_visible(timeout=60_000)
    assert first.get_attribute("data-result") in ("fail", "inconclusive"), first.text_content()
    expect(customer.page.locator("#check-result")).to_contain_text("Let us repeat the check")
    customer.page.locator("#check").get_by_role("button", name="Leave").click()
    assert ended(panel, agent.page) == "inconclusive"
    looks = {
        look
        for row in panel.locator("li").all()
        for look in [row.evaluate("(e) => getComputedStyle(e).borderTopStyle")]
    }
    assert "solid" not in looks, "what is no pass does not look like one"
    assert customer.problems == agent.problems == []


def test_both_sides_see_one_code_and_the_customer_says_whether_it_is_the_same(
    stage: Stage, clips: str
) -> None:
    customer, agent, panel = begin(stage, clips)
    for answer, result in (("equal", "pass"), ("different", "fail")):
        start(panel, "Mutual check")
        codes = [v.page.locator(".mutual-code") for v in (customer, agent)]
        expect(codes[0]).to_have_text(re.compile(r"^\d{3} \d{3}$"))
        assert codes[0].text_content() == codes[1].text_content()
        expect(customer.page.locator("#mutual")).to_contain_text(
            re.compile(r"vouched for by 127\.0\.0\.1\. Key: [0-9a-f]{16}\. Started by: agent")
        )
        expect(agent.page.locator("#mutual")).to_contain_text("Read the code to the customer aloud")
        assert agent.page.locator("#mutual").get_by_role("button").count() == 0
        customer.page.get_by_role("button", name=f"The codes are {answer}").press("Enter")
        assert ended(panel, agent.page) == result
        said = "confirmed: the codes are equal" if result == "pass" else "Stop and tell security"
        expect(agent.page.locator("#mutual")).to_contain_text(said)
        advice = "You can go on" if result == "pass" else "Call the organisation on a number you already know"
        expect(customer.page.locator("#mutual")).to_contain_text(advice)
        assert customer.page.evaluate("document.documentElement.scrollWidth") <= 360
        for visitor in (customer, agent):
            visitor.page.locator("#mutual").get_by_role("button", name="Close").click()
    expect(customer.page.locator("#check")).to_be_hidden()
    assert customer.page.locator(".checks").count() == 0, "the customer starts no checks"
    assert customer.problems == agent.problems == []
