"""A drill in real browsers: steps on the agent's page, a bank that confirms, a second person who releases."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from guard.api.webhook import SIGNATURE_HEADER, verify
from tests.web.conftest import browser, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SECRET = "sixteen bytes of secret"
PATIENCE_MS = 15_000


@dataclass
class Bank:
    """The bank's system: takes alerts, confirms holds and releases, keeps what it was sent."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0


@contextmanager
def bank() -> Iterator[Bank]:
    kept = Bank()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            genuine = verify(SECRET.encode(), self.headers[SIGNATURE_HEADER], body, now=time.time())
            kept.forged += not genuine
            event = json.loads(body)
            kept.asked += [event] if event["type"] == "hold" else []
            answer = json.dumps({"v": 1, "confirmed": True, "operation": "payment 7"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/guard"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def enter(opened: Browser, link: str) -> Page:
    page = opened.new_context(ignore_https_errors=True, locale="en-GB").new_page()
    page.goto(link)
    expect(page.locator("#preview-note")).to_be_hidden(timeout=PATIENCE_MS)
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#call")).to_be_visible()
    return page


def test_a_drill_from_injection_to_release(playwright: Playwright, tmp_path: Path) -> None:
    settings = {"GUARD_WEBHOOK__SECRET": SECRET, "GUARD_ANALYSIS__ENABLED": "false"}
    people = [("customer", "customer"), ("agent", "agent"), ("chief", "security")]
    with (
        bank() as system,
        serving(tmp_path, GUARD_WEBHOOK__URL=system.url, **settings) as server,
        server.client(server.token("*", "operator", "operator")) as http,
        browser(playwright, rate_hz=5) as opened,
    ):
        body = {
            "profile": "kz-ardfm",
            "participants": [{"id": name, "role": role} for name, role in people],
            "drill": True,
        }
        made = http.post("/api/v1/sessions", json=body).raise_for_status().json()
        tokens = {person["id"]: person["token"] for person in made["participants"]}
        agent = enter(opened, f"{server.url}/?token={tokens['agent']}")
        expect(agent.locator("#drill")).to_contain_text("training call")

        attack = {"participant": "customer", "state": "spoof"}
        http.post(f"/api/v1/sessions/{made['id']}/drills", json=attack).raise_for_status()
        expect(agent.locator("#alerts .advice")).to_contain_text("DRILL", timeout=PATIENCE_MS)
        steps = agent.locator("[data-steps=customer]")
        expect(steps.locator("[data-step=hold]")).to_have_attribute("data-standing", "advised")
        steps.locator("[data-action=hold]").click()
        expect(steps.locator("[data-step=hold]")).to_have_attribute(
            "data-standing", "confirmed", timeout=PATIENCE_MS
        )
        agent.get_by_role("button", name="Қазақша").first.click()
        expect(steps.locator(".advice").last).to_contain_text("ОҚУ-ЖАТТЫҒУ")
        steps.locator("[data-action=release]").click()
        expect(steps.locator(".problem")).to_contain_text("release an operation")

        # who comes later sees where the steps stand
        chief = enter(opened, f"{server.url}/?token={tokens['chief']}")
        expect(chief.locator("[data-step=hold]")).to_have_attribute("data-standing", "confirmed")
        chief.locator("[data-action=release]").click()
        expect(chief.locator("[data-step=hold]")).to_have_attribute(
            "data-standing", "done", timeout=PATIENCE_MS
        )

        # a warning that was only taken note of leaves the screen; what waits for a person stays within reach
        agent.locator("#alerts form button").click()
        expect(agent.locator("#alerts form")).to_have_count(0)
        settle = agent.locator('[data-participant="customer"] .settle')
        settle.locator("summary").click()
        settle.locator("input").fill("қайта қоңырау шалдым")
        settle.locator("button").click()
        expect(settle).to_be_hidden(timeout=PATIENCE_MS)
        said = chief.locator('[data-participant="customer"] [data-decision="acknowledge"]')
        expect(said).to_contain_text("agent: қайта қоңырау шалдым")
        metrics = http.get("/metrics").text
        http.post(f"/api/v1/sessions/{made['id']}/actions", json={"action": "end"}).raise_for_status()

    assert [(event["state"], event["by"], event["drill"]) for event in system.asked] == [
        ("requested", "agent", True),
        ("released", "chief", True),
    ]
    assert system.forged == 0
    for reaction in ("hold", "release"):
        assert f'guard_drill_reaction_seconds_count{{reaction="{reaction}"}} 1.0' in metrics
    assert "guard_alerts_total{" not in metrics
    records = [
        json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert {record["type"] for record in records} == {"drill", "closed"}
