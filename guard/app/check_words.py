"""What the two processes tell each other of a check, and what pages and readers are told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from guard.app.running_check import RunningCheck
from guard.challenge.outputs import Asked, AttemptOver, Show
from guard.clock import rfc3339
from guard.policy.texts import Texts
from guard.workers.wire import Message

_OVER_TEXTS = {"pass": "check.pass", "fail": "check.fail", "inconclusive": "check.inconclusive"}
_SHOWN = ("attempt", "number", "of", "gesture", "step", "words", "colour", "dot", "limit_s")


def show_message(check: str, who: tuple[str, str], show: Show, of: int) -> Message:
    """Return what the relay process is told to put on the participant's screen."""
    step = show.command.steps[show.step]
    colour = (
        None if step.colour is None else "#" + "".join(f"{round(255 * part):02x}" for part in step.colour)
    )
    return {
        "type": "check_show",
        "id": check,
        "session": who[0],
        "participant": who[1],
        "attempt": show.attempt,
        "number": show.number,
        "of": of,
        "gesture": show.command.gesture.value,
        "step": show.step,
        "words": list(show.command.words),
        "colour": colour,
        "dot": None if step.dot is None else list(step.dot),
        "limit_s": round(show.command.limit_s, 3),
    }


def attempt_message(
    check: str, who: tuple[str, str], over: AttemptOver, passive: Mapping[str, Any]
) -> Message:
    """Return what the relay process is told of an attempt that has ended.

    Which needs the person named is not part of it: it may tell of an illness. That there were any is.
    """
    return {
        "type": "check_attempt",
        "id": check,
        "session": who[0],
        "participant": who[1],
        "attempt": over.attempt,
        "result": over.result.value,
        "reason": over.reason,
        "again": over.again,
        "other_commands": bool(over.needs),
        "commands": [_account(asked) for asked in over.commands],
        "passive": dict(passive),
    }


def _account(asked: Asked) -> Message:
    found = asked.judgement
    shown_s = [asked.shown_s.get(number) for number in range(len(asked.sent_s))]
    return {
        "gesture": asked.command.gesture.value,
        "words": list(asked.command.words),
        "colours": [step.colour for step in asked.command.steps if step.colour is not None],
        "dots": [step.dot for step in asked.command.steps if step.dot is not None],
        "limit_s": round(asked.command.limit_s, 3),
        "sent_s": [round(sent_s, 4) for sent_s in asked.sent_s],
        "shown_after_s": [
            None if at_s is None else round(at_s - sent_s, 4)
            for at_s, sent_s in zip(shown_s, asked.sent_s, strict=True)
        ],
        "answer": None if found is None else found.answer.value,
        "reason": None if found is None else found.reason,
        "llr": None if found is None else round(found.llr, 4),
        "onset_s": None if found is None or found.onset_s is None else round(found.onset_s, 3),
        "details": {}
        if found is None
        else {k: round(v, 4) for k, v in found.details.items() if math.isfinite(v)},
    }


def command_event(message: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """Return what the page of the person is told to show, from a ``check_show`` message."""
    return {
        "v": 1,
        "type": "command",
        "id": message["id"],
        "participant": message["participant"],
        **{key: message[key] for key in _SHOWN},
        "text": texts.all(f"command.{message['gesture']}"),
    }


def begin_event(head: Mapping[str, Any], kind: str, texts: Texts) -> dict[str, Any]:
    """Return what that page is told before the first command; ``head`` has id, participant and needs."""
    return {"v": 1, "type": "check_begins", **head, "kind": kind, "text": texts.all("check.intro")}


def running_event(head: Mapping[str, Any], kind: str, by: str, *, running: bool) -> dict[str, Any]:
    """Return what those who watch are told when a check begins and when no further attempt follows."""
    return {"v": 1, "type": "check", **head, "kind": kind, "by": by, "running": running}


def over_event(head: Mapping[str, Any], result: str, texts: Texts, *, again: bool) -> dict[str, Any]:
    """Return what that page is told at the end of an attempt; ``head`` has id, participant and attempt."""
    text = texts.all("check.again" if again else _OVER_TEXTS[result])
    return {"v": 1, "type": "check_over", **head, "result": result, "again": again, "text": text}


def result_event(head: Mapping[str, Any], result: str, reason: str) -> dict[str, Any]:
    """Return the contract's event for those who watch."""
    return {"v": 1, "type": "challenge", **head, "result": result, "reason": reason}


def mutual_statement(running: RunningCheck, code: str, utc: datetime) -> dict[str, Any]:
    """Return what is signed of a code that both sides compare."""
    return {
        "v": 1,
        "session": running.session,
        "code": code,
        "customer": running.participant,
        "agent": running.by,
        "at": rfc3339(utc),
    }


def mutual_event(running: RunningCheck, code: str, badge: str, texts: Texts) -> dict[str, Any]:
    """Return what both sides are shown of it; ``badge`` is the signed statement."""
    return {
        "v": 1,
        "type": "mutual",
        "id": running.id,
        "participant": running.participant,
        "code": f"{code[:3]} {code[3:]}",
        "badge": badge,
        "text": texts.all("check.mutual"),
    }


def dated(command: Mapping[str, Any], now: float, utc: datetime) -> dict[str, Any]:
    """Return a command's account with the moments at which its steps were sent.

    Args:
        command: of a ``check_attempt`` message, with monotonic ``sent_s``.
        now: monotonic seconds.
        utc: the moment of the day at ``now``.
    """
    begun_s = float(command["sent_s"][0])
    kept = {key: value for key, value in command.items() if key != "sent_s"}
    kept["sent_at"] = rfc3339(utc - timedelta(seconds=now - begun_s))
    kept["steps_after_s"] = [round(float(sent_s) - begun_s, 4) for sent_s in command["sent_s"]]
    return kept
