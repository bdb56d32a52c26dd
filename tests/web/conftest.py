"""A real ``guard serve`` and headless Chromium for the browser tests."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from guard.resources import clips_dir
from tests.web.media import FakeDevices, fake_devices

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
CLIP_S = 8.0
START_S = 60.0


MISSING = f"no browser at {CHROMIUM}: browser tests need Debian's chromium package"


@pytest.fixture(scope="session")
def chromium() -> Path:
    if not CHROMIUM.exists():
        if os.environ.get("GUARD_REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return CHROMIUM


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not CHROMIUM.exists() and not os.environ.get("GUARD_REQUIRE_BROWSER"):
        terminalreporter.write_line(f"skipped: {MISSING}")


@pytest.fixture(scope="session")
def playwright(chromium: Path) -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@dataclass
class Server:
    """A running ``guard serve`` and what it said on stderr."""

    process: subprocess.Popen[str]
    folder: Path
    lines: list[str] = field(default_factory=list)
    url: str = ""
    _told: threading.Event = field(default_factory=threading.Event)

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"listens on (https://\S+)", line):
                self.url = found[1].rstrip("/").replace("//0.0.0.0", "//127.0.0.1")
                self._told.set()
        self._told.set()

    def wait(self) -> None:
        self._told.wait(START_S)
        assert self.url, "guard serve did not start:\n" + "".join(self.lines[-20:])

    def token(self, session: str, role: str, participant: str) -> str:
        """A token from the command line, as an operator would make it."""
        command = [sys.executable, "-m", "guard", "token", "--session", session, "--role", role]
        command += ["--participant", participant]
        done = subprocess.run(
            command, env=environment(self.folder), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def client(self, token: str) -> httpx.Client:
        """An HTTP client that takes the self-signed certificate."""
        headers = {"Authorization": f"Bearer {token}"}
        trusted = ssl.create_default_context(cafile=self.folder / "tls-cert.pem")
        return httpx.Client(base_url=self.url, headers=headers, verify=trusted)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("GUARD_") or k.startswith("GUARD_REQUIRE")
    }
    return kept | {"GUARD_SERVER__DATA_DIR": str(folder)} | settings


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Server]:
    """Run ``guard serve`` on a free port until the block ends."""
    command = [sys.executable, "-m", "guard", "serve", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        command, env=environment(folder, **settings), stderr=subprocess.PIPE, text=True
    )
    running = Server(process, folder)
    reader = threading.Thread(target=running.listen)
    reader.start()
    try:
        running.wait()
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            reader.join(5)
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def jumpy_server(tmp_path: Path) -> Iterator[Server]:
    """A server on which the slightest evidence is enough.

    The browser tests ask what people are shown; how well the detectors tell apart is
    measured elsewhere, and must not decide whether a page works.
    """
    settings = {
        "GUARD_FUSION__WEIGHTS": '{"voice_spoof": 60, "face_frame": 60}',
        # two browsers and the analysis on two cores: a late heartbeat is not what is tested here
        "GUARD_ANALYSIS__WORKER__HEARTBEAT_TIMEOUT_S": "15",
        "GUARD_ANALYSIS__WORKER__HANG_TIMEOUT_S": "15",
    }
    with serving(tmp_path, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeDevices]:
    """Camera and microphone files by the name of the demo's clip."""
    folder = tmp_path_factory.mktemp("devices")
    names = ("customer_genuine", "customer_synthetic", "agent_genuine")
    return {name: fake_devices(clips_dir() / f"{name}.webm", folder, seconds=CLIP_S) for name in names}


@contextmanager
def browser(
    playwright: Playwright, devices: FakeDevices | None = None, *, rate_hz: int = 20
) -> Iterator[Browser]:
    """A headless Chromium with its own fake camera and microphone.

    Args:
        rate_hz: of Chromium's own test picture, where no ``devices`` are given.
    """
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--use-fake-ui-for-media-stream",
        f"--use-fake-device-for-media-stream=fps={rate_hz}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    if devices is not None:
        arguments.append(f"--use-file-for-fake-video-capture={devices.camera}")
        arguments.append(f"--use-file-for-fake-audio-capture={devices.microphone}")
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    try:
        yield opened
    finally:
        opened.close()
