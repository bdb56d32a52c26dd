"""A page whose socket a test can speak into: what guard would say, and what the page answers."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Route, WebSocketRoute

from guard.policy.texts import load_texts

ANSWERS = ("shown", "needs", "compared", "client")
TEXTS = load_texts()


@dataclass
class Script:
    """Stands between a page and the server; answers to scripted messages are kept from the server."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    _routes: list[WebSocketRoute] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page) -> Script:
        """Listen to every socket the page opens from now on."""
        script = cls()
        page.route_web_socket("**/ws/**", script._open)
        return script

    def _open(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self._routes.append(route)

        def forward(message: str | bytes) -> None:
            said = json.loads(message)
            self.sent.append(said)
            if said["type"] not in ANSWERS:
                server.send(message)

        route.on_message(forward)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send the page a message as if from guard."""
        self._routes[-1].send(json.dumps({"v": 1, **message}))

    def answers(self, kind: str) -> list[dict[str, Any]]:
        """Return what the page has sent of one type, without version and type."""
        return [
            {k: v for k, v in m.items() if k not in ("v", "type")} for m in self.sent if m["type"] == kind
        ]


def command(gesture: str, number: int = 1, step: int = 0, **more: Any) -> dict[str, Any]:
    """A ``command`` message (docs/challenges.md)."""
    return {
        "type": "command",
        "id": "check-1",
        "participant": "customer",
        "attempt": 1,
        "number": number,
        "of": 3,
        "gesture": gesture,
        "step": step,
        "text": TEXTS.all(f"command.{gesture}"),
        "words": [],
        "colour": None,
        "dot": None,
        "limit_s": 6.0,
        **more,
    }


def begins(kind: str = "visual") -> dict[str, Any]:
    """A ``check_begins`` message."""
    head = {"type": "check_begins", "id": "check-1", "participant": "customer"}
    return {**head, "kind": kind, "text": TEXTS.all("check.intro")}


def over(result: str, *, again: bool = False, attempt: int = 1, **more: Any) -> dict[str, Any]:
    """A ``check_over`` message."""
    text = TEXTS.all("check.again" if again else f"check.{result}")
    return {
        "type": "check_over",
        "id": "check-1",
        "participant": "customer",
        "attempt": attempt,
        "result": result,
        "again": again,
        "text": text,
        **more,
    }


def _tone() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 800))
    return file.getvalue()


@dataclass
class Sounds:
    """Answers for the spoken prompts, so that a test does not hang on which of them are shipped."""

    asked: list[str] = field(default_factory=list)
    missing: bool = False

    @classmethod
    def of(cls, page: Page) -> Sounds:
        """Answer every prompt this page asks for from now on."""
        sounds = cls()
        page.route("**/web/sounds/**", sounds._answer)
        return sounds

    def _answer(self, route: Route) -> None:
        name = route.request.url.split("/web/sounds/")[1]
        if name == "words.json":
            route.fulfill(json={"kk": ["алма"], "en": ["river", "apple", "seven"]})
            return
        self.asked.append(name.removesuffix(".webm"))
        # an unreadable file rather than a 404, which Chromium would also write to the console
        route.fulfill(body=b"no sound" if self.missing else _tone(), content_type="audio/wav")
