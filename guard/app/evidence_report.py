"""``guard evidence report``: the records of one session as a page to read or print, in one language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard.errors import RecordError
from guard.evidence.records import Record, read_line
from guard.evidence.verify import WORDS, Verified, lines, verify_lines
from guard.policy.texts import Texts

ATTEMPT = "challenge_attempt"
MAX_BYTES = 64 << 20
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a;
max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; margin: 0 0 1rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ccc }
code { font-size: .85em; overflow-wrap: anywhere }
.good, .bad { padding: .6rem .9rem; border-left: .4rem solid; font-weight: 600 }
.good { border-color: #2e7d32; background: #eef6ee } .bad { border-color: #b3261e; background: #fbeceb }
@media print { body { margin: 0; max-width: none } section { break-inside: avoid } }
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A page, and whether every record on it verifies."""

    html: str
    ok: bool


def make_report(path: Path, keys: Mapping[str, Ed25519PublicKey], texts: Texts, language: str) -> Report:
    """Return the records of a file as one HTML page without scripts or anything loaded.

    Raises:
        RecordError: ``record_unreadable``; the file cannot be read or is over 64 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecordError("record_unreadable", f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise RecordError("record_unreadable", f"{path} is over {MAX_BYTES >> 20} MiB")
    found = verify_lines(lines(BytesIO(content)), keys)
    page = _Page(found, texts, language)
    return Report("\n".join(page.parts(path.name, list(_records(content)))) + "\n", found.ok)


def _records(content: bytes) -> Iterator[tuple[int, Record]]:
    """Yield what can be read, with the number of its line; what cannot is among the problems."""
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            yield number, read_line(line)
        except ValueError:
            continue


class _Page:
    def __init__(self, found: Verified, texts: Texts, language: str) -> None:
        self._found = found
        self._texts = texts
        self._language = language
        self._bad_lines = {problem.line for problem in found.problems}

    def parts(self, name: str, records: list[tuple[int, Record]]) -> Iterator[str]:
        title = f"{self._t('title')}: {escape(name)}"
        yield "<!doctype html>"
        yield f'<html lang="{self._language}"><head><meta charset="utf-8"><title>{title}</title>'
        yield f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        yield from self._verdict()
        yield from self._facts()
        for number, record in records:
            if record.type == ATTEMPT:
                yield from self._attempt(number, record)
        yield from self._others([(n, r) for n, r in records if r.type != ATTEMPT])
        yield f"<p>{self._t('human')}</p></body></html>"

    def _verdict(self) -> Iterator[str]:
        if self._found.ok:
            yield f'<p class="good">{self._t("verified")}</p>'
        else:
            yield f'<p class="bad">{self._t("not_verified")}</p><ul>'
            for problem in self._found.problems:
                words = f"{self._t('line')} {problem.line}: <code>{problem.fault}</code>"
                yield f'<li>{words} <span lang="en">{escape(WORDS[problem.fault])}</span></li>'
            yield "</ul>"
        yield f"<p>{self._t('closed' if self._found.closed else 'open')}</p>"

    def _facts(self) -> Iterator[str]:
        found = self._found
        places = ", ".join(f"{self._t('line')} {line} ({why})" for line, why in found.interrupted)
        facts = {
            "session": found.session,
            "period": f"{found.first_at} – {found.last_at}" if found.first_at else None,
            "count": str(found.records),
            "key": ", ".join(found.keys),
            "digest": found.digest,
            "interrupted": places,
        }
        rows = [(self._t(key), f"<code>{escape(value)}</code>") for key, value in facts.items() if value]
        yield from _table(rows)

    def _attempt(self, number: int, record: Record) -> Iterator[str]:
        body = record.body
        result = self._word("result", body.get("result"))
        yield "<section>"
        # a training call: what was played there is no finding about anybody
        drill = (
            f"{escape(self._texts.get('drill.prefix', self._language))} " if body.get("drill") is True else ""
        )
        yield f"<h2>{drill}{self._t('attempt')} {_shown(body.get('attempt'))}: {result}</h2>"
        yield self._doubt(number)
        rows = [
            (self._t("line"), f"{number}, {escape(record.at)}"),
            (self._t("participant"), _shown(body.get("participant"))),
            (self._t("by"), _shown(body.get("by"))),
            (self._t("why"), self._reason(body.get("reason"))),
        ]
        client = body.get("client")
        if isinstance(client, dict):
            rows.append((self._t("claims"), self._claims(client)))
        yield from _table(rows)
        commands = body.get("commands")
        if isinstance(commands, list) and commands:
            heads = [self._t(key) for key in ("asked", "shown", "onset", "answer", "why", "weight")]
            yield from _table([self._command(c) for c in commands if isinstance(c, dict)], heads)
        yield "</section>"

    def _command(self, command: Mapping[str, Any]) -> tuple[str, ...]:
        shown = command.get("shown_after_s")
        words = command.get("words")
        asked = self._or_code("command", command.get("gesture"))
        if isinstance(words, list) and words:
            asked += f" <b>{escape(', '.join(map(str, words)))}</b>"
        return (
            asked,
            _shown(shown[0] if isinstance(shown, list) and shown else None),
            _shown(command.get("onset_s")),
            self._word("answer", command.get("answer") or "none"),
            self._reason(command.get("reason")),
            _shown(command.get("llr")),
        )

    def _claims(self, client: Mapping[str, Any]) -> str:
        reasons = client.get("reasons")
        named = [self._reason(code) for code in reasons] if isinstance(reasons, list) else []
        return " ".join([self._word("level", client.get("level")) + ".", *named])

    def _others(self, records: list[tuple[int, Record]]) -> Iterator[str]:
        if not records:
            return
        yield f"<h2>{self._t('other')}</h2>"
        rows = []
        for number, record in records:
            body = json.dumps(record.body, ensure_ascii=False, sort_keys=True)
            shown = f"{self._doubt(number)}<code>{escape(body)}</code>"
            rows.append((str(number), escape(record.at), escape(record.type), shown))
        yield from _table(rows, [self._t(key) for key in ("line", "period", "type", "content")])

    def _doubt(self, number: int) -> str:
        return f'<p class="bad">{self._t("bad_record")}</p>' if number in self._bad_lines else ""

    def _t(self, key: str) -> str:
        return escape(self._texts.get(f"report.{key}", self._language))

    def _word(self, group: str, code: object) -> str:
        return self._or_code(f"report.{group}", code)

    def _reason(self, code: object) -> str:
        return "–" if code is None else self._or_code("reason", code)

    def _or_code(self, group: str, code: object) -> str:
        """Return the words for a code, or the code: an older or newer guard may have written others."""
        key = f"{group}.{code}"
        if key in self._texts.keys:
            return escape(self._texts.get(key, self._language))
        return f"<code>{escape(str(code))}</code>"


def _shown(value: object) -> str:
    return "–" if value is None else escape(str(value))


def _table(rows: Sequence[tuple[str, ...]], heads: Sequence[str] = ()) -> Iterator[str]:
    yield "<table>"
    if heads:
        yield f"<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
    for first, *rest in rows:
        tag = "td" if heads else "th"
        yield f"<tr><{tag}>{first}</{tag}>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
    yield "</table>"
