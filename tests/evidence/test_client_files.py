"""The files the page is compared with are those it is handed out with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from guard.api.page import integrity
from guard.errors import ConfigError
from guard.evidence.client_files import client_files
from guard.resources import web_dir


def test_every_file_the_browser_checks_is_known_by_its_sha256() -> None:
    found = client_files(web_dir())
    assert set(found) == set(integrity(web_dir()))
    path = "/web/js/main.js"
    assert found[path] == hashlib.sha256((web_dir() / "js" / "main.js").read_bytes()).hexdigest()


def test_a_folder_without_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        client_files(tmp_path)
    assert caught.value.code == "page_incomplete"
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").mkdir()
    with pytest.raises(ConfigError) as caught:
        client_files(tmp_path)
    assert caught.value.code == "page_incomplete"
