"""What the person being checked is shown, and what their page answers; guard's side is scripted here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from playwright.sync_api import ConsoleMessage, Page, Playwright, ViewportSize, expect

from guard.challenge.commands import Gesture, Need
from tests.web.conftest import Server, browser, serving
from tests.web.script import TEXTS, Script, Sounds, begins, command, over
from tests.web.test_call import NARROW, WIDE, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LANGUAGES = {"kk": "Қазақша", "ru": "Русский", "en": "English"}


@dataclass
class Checked:
    """The page of somebody who is being checked."""

    page: Page
    script: Script
    sounds: Sounds
    problems: list[str] = field(default_factory=list)

    def shown(self) -> list[tuple[int, int]]:
        return [(m["number"], m["step"]) for m in self.script.answers("shown")]

    def until_shown(self, number: int, step: int = 0) -> None:
        wait_until(self.page, lambda: (number, step) in self.shown(), f"shown {number}.{step}", 10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("data"), GUARD_ANALYSIS__ENABLED="false") as running:
        yield running


@pytest.fixture(scope="module")
def customer_link(server: Server) -> Iterator[str]:
    with server.client(server.token("*", "operator", "operator")) as http:
        people = [{"id": "customer", "role": "customer"}, {"id": "agent", "role": "agent"}]
        made = http.post("/api/v1/sessions", json={"participants": people}).raise_for_status().json()
    yield f"{server.url}/?token={made['participants'][0]['token']}"


@contextmanager
def page_of(
    playwright: Playwright,
    link: str,
    size: ViewportSize = NARROW,
    *,
    motion: str = "reduce",
    refused: tuple[int, ...] = (),
) -> Iterator[Checked]:
    """Join a call; what goes wrong in the page fails the test, but for requests that guard is to refuse."""
    with browser(playwright) as opened:
        reduced = "reduce" if motion == "reduce" else "no-preference"
        context = opened.new_context(
            ignore_https_errors=True,
            locale="en-GB",
            viewport=size,
            reduced_motion=reduced,  # type: ignore[arg-type]
        )
        page = context.new_page()
        checked = Checked(page, Script.of(page), Sounds.of(page))
        page.on("pageerror", lambda error: checked.problems.append(str(error)))
        allowed = tuple(f"status of {status}" for status in refused)

        def listen(message: ConsoleMessage) -> None:
            if message.type == "error" and not any(text in message.text for text in allowed):
                checked.problems.append(message.text)

        page.on("console", listen)
        page.goto(link)
        expect(page.locator("#preview-note")).to_be_hidden(timeout=15_000)
        page.get_by_role("button", name="I have read this").click()
        expect(page.locator(".tile.own")).to_be_visible()
        yield checked
        assert checked.problems == []


@pytest.fixture
def checked(playwright: Playwright, customer_link: str) -> Iterator[Checked]:
    with page_of(playwright, customer_link) as found:
        yield found


def fits(page: Page) -> None:
    """Nothing of the check is wider than the screen."""
    wide = page.evaluate("document.querySelector('#check').scrollWidth")
    assert wide <= page.viewport_size["width"]  # type: ignore[index]


def test_every_gesture_is_told_drawn_and_reported_as_shown_in_every_language(checked: Checked) -> None:
    page, dialog = checked.page, checked.page.get_by_role("dialog", name="Check")
    checked.script.say(begins())
    expect(dialog).to_be_visible()
    for number, gesture in enumerate(Gesture, 1):
        words = ["apple", "seven", "river"] if gesture is Gesture.SAY_WORDS else []
        checked.script.say(command(gesture.value, number, words=words, of=len(Gesture)))
        expect(page.locator("#check-command")).to_have_text(TEXTS.get(f"command.{gesture.value}", "en"))
        expect(page.locator("#check-progress")).to_have_text(f"Command {number} of {len(Gesture)}.")
        expect(page.locator(f"#check-picture svg[data-gesture={gesture.value}]")).to_be_visible()
        expect(page.locator("#check-live")).to_contain_text(" ".join(words) or f"Command {number}")
        assert page.locator("#check-words span").all_text_contents() == words
        checked.until_shown(number)
    assert checked.shown() == [(number, 0) for number in range(1, len(Gesture) + 1)]
    assert {m["id"] for m in checked.script.answers("shown")} == {"check-1"}
    for tag, name in LANGUAGES.items():
        dialog = page.locator("#check")
        dialog.get_by_role("button", name=name).click()
        expect(page.locator("#check-command")).to_have_text(TEXTS.get("command.screen_light", tag))
        fits(page)
        for button in dialog.locator(".check-controls button:visible").all():
            box = button.bounding_box()
            assert box is not None and box["y"] + box["height"] <= 740 and box["height"] >= 44
    assert len(checked.shown()) == len(Gesture), "another language is not another command"


def test_the_person_is_warned_of_light_before_it_comes_and_can_stop_it(checked: Checked) -> None:
    page, dialog = checked.page, checked.page.locator("#check")
    checked.script.say(begins("occlusion"))
    expect(page.locator("#check-command")).to_have_text(TEXTS.get("check.intro", "en"))
    expect(page.locator("#check-warning")).to_be_hidden()
    checked.script.say({**begins("light"), "id": "check-2"})
    expect(page.locator("#check-warning")).to_contain_text("If light affects you")
    expect(page.locator("#check-live")).to_contain_text("If light affects you")
    light = partial(command, "screen_light", id="check-2")
    checked.script.say(light(step=0, colour="#ffd0d0"))
    checked.until_shown(1, 0)
    assert dialog.evaluate("(e) => e.style.backgroundColor") == "rgb(255, 208, 208)"
    page.get_by_role("button", name="I cannot do this").click()
    assert dialog.evaluate("(e) => e.style.backgroundColor") == ""
    checked.script.say(light(step=1, colour="#d0ffd0"))
    form = page.locator("#check-needs")
    expect(form.get_by_label("Changing light affects me")).to_be_focused()
    assert dialog.evaluate("(e) => e.style.backgroundColor") == ""
    form.get_by_label("Changing light affects me").check()
    form.get_by_role("button", name="Ask for other commands").click()
    told = [{"id": "check-2", "needs": needs} for needs in (None, ["light_sensitive"])]
    assert checked.script.answers("needs") == told
    assert checked.shown() == [(1, 0)], "what was not painted is not said to be shown"


def test_a_message_over_both_ways_or_too_late_counts_once(checked: Checked) -> None:
    page = checked.page
    checked.script.say(command("turn_left"))
    checked.until_shown(1)
    checked.script.say(command("follow_dot", 2, 1, dot=[0.94, 0.5]))
    checked.until_shown(2, 1)
    for late in (command("follow_dot", 2, 0, dot=[0.5, 0.5]), command("follow_dot", 2, 1, dot=[0.94, 0.5])):
        checked.script.say(late)
    checked.script.say(command("turn_left"))
    checked.script.say(over("pass"))
    expect(page.locator("#check-result")).to_have_text(TEXTS.get("check.pass", "en"))
    checked.script.say(command("look_up", 3))
    expect(page.locator("#check-task")).to_be_hidden()
    page.get_by_role("button", name="Back to the call").click()
    expect(page.locator("#check")).to_be_hidden()
    checked.script.say(over("pass"))
    page.wait_for_timeout(300)
    expect(page.locator("#check")).to_be_hidden()
    assert checked.shown() == [(1, 0), (2, 1)]


def test_the_dot_goes_where_it_is_told_and_the_colour_fills_the_screen(checked: Checked) -> None:
    page = checked.page
    for step, place in enumerate([(0.5, 0.5), (0.94, 0.5), (0.5, 0.06)]):
        checked.script.say(command("follow_dot", step=step, dot=place))
        checked.until_shown(1, step)
        box = page.locator("#check-dot").bounding_box()
        assert box is not None
        centre = ((box["x"] + box["width"] / 2) / 360, (box["y"] + box["height"] / 2) / 740)
        assert centre == pytest.approx(place, abs=0.01)
    expect(page.locator("#check-mirror")).to_be_hidden()
    for step, colour in enumerate(["#ffe0e0", "#e0ffe0", "#203040"]):
        checked.script.say(command("screen_light", 2, step, colour=colour))
        checked.until_shown(2, step)
        rgb = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
        look = page.locator("#check").evaluate("(e) => [getComputedStyle(e).backgroundColor, e.style.color]")
        ink = "rgb(0, 0, 0)" if colour != "#203040" else "rgb(255, 255, 255)"
        assert look == [f"rgb{rgb}", ink]
        share = page.evaluate("document.querySelector('#check').getBoundingClientRect().height / innerHeight")
        assert share == 1.0
    expect(page.locator("#check-mirror")).to_be_hidden()
    expect(page.locator("#check-dot")).to_be_hidden()
    expect(page.locator("#check-warning")).to_contain_text("If light affects you")
    checked.script.say(command("look_up", 3))
    expect(page.locator("#check-mirror")).to_be_visible()
    assert page.locator("#check").evaluate("(e) => e.style.backgroundColor") == ""


def test_a_person_who_cannot_asks_for_other_commands_by_keyboard(checked: Checked) -> None:
    page, form = checked.page, checked.page.locator("#check-needs")
    checked.script.say(command("cover_mouth"))
    checked.until_shown(1)
    page.keyboard.press("Escape")
    expect(form).to_be_visible()
    assert form.locator("input").evaluate_all("(all) => all.map((e) => e.value)") == [n.value for n in Need]
    expect(form.get_by_label("I cannot bring a hand to my face")).to_be_focused()
    for _ in range(2):  # a browser may close a dialog at the second one, whatever the page says
        page.keyboard.press("Escape")
        expect(form).to_be_visible()
    form.get_by_label("I cannot bring a hand to my face").focus()
    expect(form.get_by_role("button", name="Ask for other commands")).to_be_disabled()
    fits(page)
    page.keyboard.press("Space")
    form.get_by_label("I wear glasses").press("Space")
    # guard ends the attempt and waits; were it to ask on, the form would stay all the same
    checked.script.say(over("inconclusive", again=True))
    checked.script.say(command("turn_left", attempt=2))
    # both have reached the page, or what is asked for next would be about the command before
    expect(page.locator("#check-live")).to_contain_text(TEXTS.get("command.turn_left", "en"))
    expect(form).to_be_visible()
    form.get_by_role("button", name="Ask for other commands").press("Enter")
    asked = [None, ["no_hands", "glasses"]]
    assert [m["needs"] for m in checked.script.answers("needs")] == asked
    expect(page.locator("#check-command")).to_have_text(TEXTS.get("command.turn_left", "en"))
    # it is told once it has been painted, and not at all where it is covered before
    wait_until(page, lambda: checked.shown() == 2 * [(1, 0)], "the second command on the screen", 5)
    page.get_by_role("button", name="I cannot do this").click()
    checked.script.say(over("inconclusive", again=True, attempt=2))
    expect(page.locator("#check-live")).not_to_contain_text("repeat")
    form.get_by_label("I wear glasses").uncheck()
    form.get_by_role("button", name="Ask for other commands").click()
    asked += [None, ["no_hands"]]
    assert [m["needs"] for m in checked.script.answers("needs")] == asked
    expect(page.locator("#check-result")).to_contain_text("other commands are being prepared")
    checked.script.say(command("look_up", attempt=3))
    expect(page.locator("#check-command")).to_have_text(TEXTS.get("command.look_up", "en"))
    expect(page.locator("#check-progress")).to_have_text("Command 1 of 3. Attempt 3.")
    wait_until(page, lambda: checked.shown() == 3 * [(1, 0)], "the third command on the screen", 5)
    page.get_by_role("button", name="I cannot do this").click()
    expect(form.get_by_label("I cannot bring a hand to my face")).to_be_checked()
    form.get_by_label("I wear glasses").check()
    form.get_by_role("button", name="Back to the command").click()
    expect(page.locator("#check-command")).to_be_visible()
    asked += [None, ["no_hands"]]
    assert [m["needs"] for m in checked.script.answers("needs")] == asked, (
        "what was not asked for is not told"
    )
    wait_until(page, lambda: checked.shown() == 4 * [(1, 0)], "each time it was on the screen", 5)


def test_what_was_named_for_the_person_beforehand_holds_until_they_say_otherwise(checked: Checked) -> None:
    page, form = checked.page, checked.page.locator("#check-needs")
    checked.script.say({**begins(), "needs": ["no_sight", "no_hands"]})
    checked.script.say(command("say_words", words=["seven"]))
    aloud = ["en/check.intro", "en/command.say_words", "en/word.2"]
    wait_until(page, lambda: checked.sounds.asked == aloud, "the words without asking", 5)
    page.get_by_role("button", name="I cannot do this").click()
    expect(form.get_by_label("I cannot bring a hand to my face")).to_be_checked()
    form.get_by_role("button", name="Back to the command").click()
    asked = [None, ["no_hands", "no_sight"]]
    assert [m["needs"] for m in checked.script.answers("needs")] == asked
    page.get_by_role("button", name="I cannot do this").click()
    form.get_by_label("I cannot bring a hand to my face").uncheck()
    form.get_by_role("button", name="Ask for other commands").click()
    assert [m["needs"] for m in checked.script.answers("needs")] == [*asked, None, ["no_sight"]]


def test_the_end_is_told_in_plain_words_and_the_focus_comes_back(checked: Checked) -> None:
    page = checked.page
    page.locator("#leave").focus()
    checked.script.say(command("open_mouth"))
    expect(page.locator("#check")).to_be_focused()
    checked.script.say(over("fail", again=True))
    expect(page.locator("#check-result")).to_have_text(TEXTS.get("check.again", "en"))
    expect(page.locator("#check-close")).to_be_hidden()
    checked.script.say(command("turn_right", attempt=2))
    checked.script.say(over("inconclusive", attempt=2))
    expect(page.locator("#check-result")).to_have_text(TEXTS.get("check.inconclusive", "en"))
    close = page.get_by_role("button", name="Back to the call")
    expect(close).to_be_focused()
    close.press("Enter")
    expect(page.locator("#check")).to_be_hidden()
    expect(page.locator("#leave")).to_be_focused()


def test_the_time_runs_down_and_a_check_that_stops_lets_the_person_out(
    playwright: Playwright, customer_link: str
) -> None:
    with page_of(playwright, customer_link, WIDE, motion="any") as checked:
        page = checked.page
        page.clock.install()
        checked.script.say(command("turn_left", limit_s=6.0))
        seconds = page.locator("#check-seconds")
        expect(seconds).to_have_text("6")
        expect(page.locator("#check-bar")).to_be_visible()
        page.clock.run_for(4100)
        expect(seconds).to_have_text("2")
        page.clock.run_for(4000)
        expect(seconds).to_have_text("0")
        expect(page.locator("#check-task")).to_be_visible()
        page.clock.run_for(18_500)
        expect(page.locator("#check-result")).to_contain_text("the check was interrupted")
        page.get_by_role("button", name="Back to the call").click()
        expect(page.locator("#call")).to_be_visible()
        expect(page.locator("#check")).to_be_hidden()


def test_the_call_can_be_left_from_within_a_check(checked: Checked) -> None:
    checked.script.say(command("turn_left"))
    checked.until_shown(1)
    checked.page.locator("#check").get_by_role("button", name="Leave").click()
    expect(checked.page.locator("#over-title")).to_have_text(re.compile("left"))
    expect(checked.page.locator("#check")).to_be_hidden()


def test_each_command_is_said_once_and_a_sound_that_fails_is_told(checked: Checked) -> None:
    page, note = checked.page, checked.page.locator("#check-sound")
    checked.script.say(command("turn_left"))
    checked.until_shown(1)
    wait_until(page, lambda: len(checked.sounds.asked) == 1, "the first prompt", 5)
    expect(note).to_be_empty()
    page.get_by_role("button", name="Hear it again").click()
    wait_until(page, lambda: len(checked.sounds.asked) == 2, "the prompt again", 5)
    expect(note).to_be_empty()
    checked.sounds.missing = True
    checked.script.say(command("look_up", 2))
    expect(note).to_have_text("Read the text: the sound could not be played.")
    page.locator("#check").get_by_role("button", name="Қазақша").click()
    expect(note).to_contain_text("дыбысты ойнату мүмкін болмады")
    page.get_by_role("button", name="Қайта тыңдау").click()
    wait_until(page, lambda: len(checked.sounds.asked) == 4, "the prompt in the other language", 5)
    assert checked.sounds.asked == [
        "en/command.turn_left",
        "en/command.turn_left",
        "en/command.look_up",
        "kk/command.look_up",
    ]
    checked.sounds.missing = False
    checked.script.say(command("tilt_left", 3))
    expect(note).to_be_empty()
    checked.script.say(over("pass"))
    wait_until(page, lambda: checked.sounds.asked[-1] == "kk/check.pass", "the end", 5)


def test_words_are_said_only_to_somebody_who_asks_or_cannot_see(checked: Checked) -> None:
    page, heard = checked.page, checked.sounds.asked
    words = ["seven", "river"]
    aloud = ["en/command.say_words", "en/word.2", "en/word.0"]
    checked.script.say(command("say_words", words=words))
    checked.until_shown(1)
    expect(page.locator("#check-words")).to_have_text("sevenriver")
    checked.script.say(command("look_up", 2))
    wait_until(page, lambda: heard[-1] == "en/command.look_up", "the next prompt", 5)
    assert heard == ["en/command.say_words", "en/command.look_up"]
    checked.script.say(command("say_words", 3, words=words))
    page.get_by_role("button", name="Hear it again").click()
    wait_until(page, lambda: heard[-3:] == aloud, "the words", 5)
    page.get_by_role("button", name="I cannot do this").click()
    page.get_by_label("I cannot see the screen").check()
    page.get_by_role("button", name="Ask for other commands").click()
    heard.clear()
    checked.script.say(command("say_words", attempt=2, words=words))
    wait_until(page, lambda: heard == aloud, "the words without asking", 5)
    heard.clear()
    checked.script.say(command("say_words", 2, attempt=2, words=["unheard"]))
    expect(page.locator("#check-sound")).to_have_text("Read the text: the sound could not be played.")
