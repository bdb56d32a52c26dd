from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import httpx
import pytest

from guard.api.page import build_page, integrity
from guard.errors import ConfigError
from guard.resources import web_dir


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(web_dir(), tmp_path / "web"))


def sha(algorithm: str, content: bytes) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def import_map(html: str) -> str:
    found = re.findall(r'<script type="importmap">(.*?)</script>', html, re.S)
    assert len(found) == 1
    return str(found[0])


def test_every_module_is_in_the_import_map_with_the_digest_of_its_bytes(folder: Path) -> None:
    page = build_page(folder)
    listed = json.loads(import_map(page.html))["integrity"]
    assert set(listed) == {f"/web/js/{path.name}" for path in (folder / "js").iterdir()}
    for path, digest in listed.items():
        assert digest == sha("sha384", (folder / path.removeprefix("/web/")).read_bytes())


def test_everything_the_page_loads_carries_its_digest(folder: Path) -> None:
    html = build_page(folder).html
    loads = re.findall(r"<(?:link rel=\"(?:stylesheet|modulepreload)\"|script type=\"module\")[^>]*>", html)
    assert len(loads) == len(integrity(folder)) + 1, "the first module is preloaded as well"
    digests = integrity(folder)
    for tag in loads:
        path, digest = re.findall(r'(?:href|src)="([^"]+)" integrity="([^"]+)"', tag)[0]
        assert digests[path] == digest


def test_the_policy_allows_the_import_map_and_no_other_inline_script(folder: Path) -> None:
    page = build_page(folder)
    assert page.script_sources == f"'self' '{sha('sha256', import_map(page.html).encode())}'"
    assert "unsafe" not in page.script_sources


def test_the_import_map_stands_before_the_first_module(folder: Path) -> None:
    html = build_page(folder).html
    first = min(html.index('rel="modulepreload"'), html.index('<script type="module"'))
    assert html.index('type="importmap"') < first


def test_a_changed_file_has_another_digest(folder: Path) -> None:
    before = build_page(folder)
    path = folder / "js" / "texts.js"
    path.write_text(path.read_text() + "\n")
    after = build_page(folder)
    assert before.script_sources != after.script_sources
    changed = {p for p, d in integrity(folder).items() if d not in before.html}
    assert changed == {"/web/js/texts.js"}


@pytest.mark.parametrize("missing", ["index.html", "js/main.js", "css/guard.css"])
def test_an_incomplete_page_stops_the_start(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ConfigError) as caught:
        build_page(folder)
    assert caught.value.code == "page_incomplete"
    assert Path(missing).name in caught.value.message


async def test_the_page_is_sent_with_its_policies(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.text == build_page(web_dir()).html
    assert f"script-src {build_page(web_dir()).script_sources};" in answer.headers["content-security-policy"]
    assert answer.headers["integrity-policy"] == "blocked-destinations=(script)"
    other = (await client.get("/healthz")).headers["content-security-policy"]
    assert "script-src 'self';" in other


async def test_reasons_are_told_in_words_to_anybody(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/reasons/kk")).json() == {"no_speech": "No speech (kk)."}
    assert (await client.get("/api/v1/reasons/fr")).status_code == 422
