from __future__ import annotations

import json
import re

import pytest

from guard.resources import locales_dir, web_dir
from guard.types import Role, Signal, State

LANGUAGES = ("kk", "ru", "en")
KAZAKH_ONLY = set("әғқңөұүі")


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((locales_dir() / f"{language}.json").read_text(encoding="utf-8"))
    return found


def sources() -> str:
    files = [web_dir() / "index.html", *sorted((web_dir() / "js").glob("*.js"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_all_languages_have_the_same_texts() -> None:
    assert texts("kk").keys() == texts("ru").keys() == texts("en").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_padded(language: str) -> None:
    assert all(text and text == text.strip() for text in texts(language).values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_keeps_its_placeholders(language: str) -> None:
    for key, text in texts(language).items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", texts("en")[key])), key


def test_each_language_is_written_in_its_own_letters() -> None:
    kazakh, russian, english = (" ".join(texts(tag).values()).lower() for tag in LANGUAGES)
    assert set(kazakh) >= KAZAKH_ONLY
    assert not set(russian) & KAZAKH_ONLY
    assert not re.search(r"[а-я]", english)
    # most texts, not only a few, are Kazakh
    marked = [text for text in texts("kk").values() if set(text.lower()) & KAZAKH_ONLY]
    assert len(marked) > 0.7 * len(texts("kk"))


def test_no_language_repeats_another_ones_text() -> None:
    same = {key for key, text in texts("kk").items() if text == texts("ru")[key]}
    assert same <= {"call.microphone", "call.camera", "role.customer", "role.operator"}


@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("state", [s.value for s in State]),
        ("alert", ["suspect", "spoof", "detector_down"]),
        ("role", [r.value for r in Role]),
        ("signal", [s.value for s in Signal]),
    ],
)
def test_every_word_of_the_wire_has_a_text(prefix: str, values: list[str]) -> None:
    assert {f"{prefix}.{value}" for value in values} <= texts("en").keys()


def test_the_page_asks_for_no_text_that_is_missing() -> None:
    used = set(re.findall(r'data-t(?:-label)?="([^"]+)"', sources()))
    used |= set(re.findall(r'(?:\bt\(|dataset\.t = \w+ \? |#lost\()"([a-z_.]+)"', sources()))
    assert len(used) > 40
    assert used <= texts("en").keys()


def test_the_notice_says_who_looks_what_is_kept_and_who_decides() -> None:
    keys = {"notice.ai", "notice.stored", "notice.human", "notice.wrong"}
    assert keys <= set(
        re.findall(r'data-t="([^"]+)"', (web_dir() / "index.html").read_text(encoding="utf-8"))
    )


def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_code() -> None:
    assert not re.search(r"(?:src|href|from|import|url\()\s*=?\s*[\"'(]?(?:https?:)?//", sources())
    page = (web_dir() / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|style=|<style|javascript:", page)
    for script in re.findall(r"<script[^>]*>(.*?)</script>", page, re.S):
        assert not script.strip()


def test_page_modules_never_write_markup() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", sources())


def test_every_file_of_the_page_is_small() -> None:
    for path in web_dir().rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path.name
