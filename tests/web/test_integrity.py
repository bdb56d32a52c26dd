"""The browser runs the page as it was shipped, or not at all; and what the page says it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Playwright, Route, expect

from guard import __version__
from guard.resources import web_dir
from guard.signalling.check_messages import ClientMessage
from guard.signalling.messages import parse_message
from tests.web.conftest import Server, browser, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

DESCRIBED = """async () => {
  const { describeClient } = await import('/web/js/client.js');
  return JSON.stringify({ v: 1, ...await describeClient() });
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("data"), GUARD_ANALYSIS__ENABLED="false") as running:
        yield running


@dataclass
class Visit:
    page: Page
    console: list[str] = field(default_factory=list)


@contextmanager
def visit(playwright: Playwright) -> Iterator[Visit]:
    with browser(playwright) as opened:
        page = opened.new_context(ignore_https_errors=True, locale="en-GB").new_page()
        found = Visit(page)
        page.on("console", lambda m: found.console.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: found.console.append(str(error)))
        yield found


def change(page: Page, name: str, more: str) -> None:
    """Let the page get a file with something added, as somebody between here and the browser could."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=response.text() + more)

    page.route(f"**/{name}", answer)


def test_the_untouched_page_runs_without_a_complaint(server: Server, playwright: Playwright) -> None:
    with visit(playwright) as seen:
        seen.page.goto(server.url)
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("You need a link to join a call")
        assert seen.console == []


@pytest.mark.parametrize("name", ["js/main.js", "js/texts.js", "js/check.js"])
def test_the_browser_refuses_a_changed_module(server: Server, playwright: Playwright, name: str) -> None:
    with visit(playwright) as seen:
        change(seen.page, name, "\nwindow.changed = true;\n")
        seen.page.goto(server.url)
        seen.page.wait_for_load_state("networkidle")
        assert not seen.page.evaluate("window.changed === true || 'guard' in window")
        assert any("integrity" in text and name in text for text in seen.console), seen.console


def test_the_browser_refuses_a_changed_style(server: Server, playwright: Playwright) -> None:
    with visit(playwright) as seen:
        change(seen.page, "css/check.css", "\nbody { display: none }\n")
        seen.page.goto(server.url)
        expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
        assert any("integrity" in text and "check.css" in text for text in seen.console), seen.console


@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without it"])
def test_only_the_policy_keeps_out_a_module_that_was_not_there_at_start(
    server: Server, playwright: Playwright, policy: bool
) -> None:
    def without(route: Route) -> None:
        response = route.fetch()
        headers = {k: v for k, v in response.headers.items() if k != "integrity-policy"}
        assert headers != response.headers
        route.fulfill(response=response, headers=headers)

    with visit(playwright) as seen:
        seen.page.route(
            "**/web/js/added.js",
            lambda route: route.fulfill(body="export const x = 1;", content_type="text/javascript"),
        )
        if not policy:
            seen.page.route(f"{server.url}/", without)
        seen.page.goto(f"{server.url}/")
        ran = seen.page.evaluate("import('/web/js/added.js').then(() => true, () => false)")
        assert ran is not policy


def test_what_the_page_says_it_is_made_of_is_what_was_shipped(server: Server, playwright: Playwright) -> None:
    with visit(playwright) as seen:
        seen.page.goto(server.url)
        said = parse_message(seen.page.evaluate(DESCRIBED))
    assert isinstance(said, ClientMessage)
    assert said.version == __version__
    shipped = {
        f"/web/{path.relative_to(web_dir()).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*web_dir().glob("js/*.js"), *web_dir().glob("css/*.css")]
    }
    assert said.files == shipped
