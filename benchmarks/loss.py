"""Calls between browsers over a network that loses packets on every hop.

    sudo python -m benchmarks.loss [--loss 5] [--seconds 30]

Two network namespaces joined by a cable: ``guard serve`` in one, two Chromium pages (fake camera and
microphone from the demo's clips) in the other. nftables drops every UDP packet with the given chance as
it arrives, in both namespaces, so what goes from page to page is at risk twice, and so are the requests
to send it again. TCP (signalling) is spared. Needs root, nft, ip and Chromium.

Passes (exit 0) where each page decodes at least 97 % of the frames the other encoded, and the analysis
side hears or marks as concealed at least 97 % of each voice.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from benchmarks.relay import RESULTS, machine
from guard.resources import clips_dir
from tests.web.media import fake_devices

WANTED = 0.97
SERVER_IP, PAGES_IP = "10.77.0.1", "10.77.0.2"
PORT = 8443
CLIPS = {"customer": "customer_genuine", "agent": "agent_genuine"}
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CLIP_S = 8.0
SETTLE_S = 1.0
"""Frames encoded in the measured time may arrive, repaired, this much later."""


def command(*words: str) -> None:
    subprocess.run(words, check=True)


@contextmanager
def namespaces(loss_percent: int) -> Iterator[tuple[str, str]]:
    """Make two joined namespaces that lose UDP packets as they come in; yield their names."""
    server, pages = f"guard-s{os.getpid()}", f"guard-p{os.getpid()}"
    chain = "add chain inet loss in { type filter hook input priority 0; }"
    rule = f"meta l4proto udp numgen random mod 100 < {loss_percent} counter drop"
    rules = f"add table inet loss\n{chain}\n" + (f"add rule inet loss in {rule}\n" if loss_percent else "")
    made = []
    try:
        for name in (server, pages):
            command("ip", "netns", "add", name)
            made.append(name)
            command("ip", "-n", name, "link", "set", "lo", "up")
        command(
            "ip", "link", "add", "cable", "netns", server, "type", "veth", "peer", "cable", "netns", pages
        )
        for name, address in ((server, SERVER_IP), (pages, PAGES_IP)):
            command("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            command("ip", "-n", name, "link", "set", "cable", "up")
            subprocess.run(
                ["ip", "netns", "exec", name, "nft", "-f", "-"], input=rules, text=True, check=True
            )
        yield server, pages
    finally:
        for name in made:
            command("ip", "netns", "delete", name)


def dropped(namespace: str) -> int:
    """Return how many packets the namespace has lost."""
    listing = subprocess.run(
        ["ip", "netns", "exec", namespace, "nft", "-j", "list", "ruleset"], capture_output=True, check=True
    )
    text = json.loads(listing.stdout)
    rules = [item["rule"]["expr"] for item in text["nftables"] if "rule" in item]
    return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)


def overflowed(namespace: str) -> int:
    """Return how many datagrams found a full socket: the process that reads it had no time to."""
    snmp = subprocess.run(
        ["ip", "netns", "exec", namespace, "cat", "/proc/net/snmp"],
        capture_output=True,
        text=True,
        check=True,
    )
    names, values = (line.split() for line in snmp.stdout.splitlines() if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])


@contextmanager
def guard_server(namespace: str, folder: Path, result: Path) -> Iterator[None]:
    """Run guard in a namespace; on the way out it writes ``result``."""
    environment = {
        **os.environ,
        "GUARD_SERVER__DATA_DIR": str(folder),
        "GUARD_SERVER__HOST": SERVER_IP,
        "GUARD_SERVER__PORT": str(PORT),
        "GUARD_RELAY__ADDRESSES": json.dumps([SERVER_IP]),
        # nothing may replace the pictures and voices that are counted
        "GUARD_ALERTS__BANNER_S": "3000",
        "GUARD_ALERTS__ANNOUNCE_S": "3000",
        "GUARD_ALERTS__ALARM_S": "3000",
        "GUARD_ALERTS__TTL_S": "3600",
        "GUARD_LOG__LEVEL": "error",
    }
    process = subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-m", "benchmarks.loss_server", str(result)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit("guard serve did not start; its message stands above")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def token(folder: Path) -> str:
    """Return an operator's token, made as an operator would."""
    words = ["token", "--session", "*", "--role", "operator", "--participant", "bench"]
    environment = {**os.environ, "GUARD_SERVER__DATA_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "guard", *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def enter(stack: ExitStack, chromium: Any, token_text: str, devices: Any) -> Page:
    """Open the call page in a browser of its own and join."""
    browser = chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            f"--use-file-for-fake-video-capture={devices.camera}",
            f"--use-file-for-fake-audio-capture={devices.microphone}",
        ],
    )
    stack.callback(browser.close)
    page: Page = browser.new_context(ignore_https_errors=True, locale="en-GB").new_page()
    page.goto(f"https://{SERVER_IP}:{PORT}/?token={token_text}")
    # without waiting for the camera the page would join as a listener
    deadline = time.monotonic() + 60
    while page.evaluate("document.getElementById('preview')?.srcObject?.getTracks().length") != 2:
        if time.monotonic() > deadline:
            raise SystemExit("the camera did not open")
        page.wait_for_timeout(200)
    page.locator("#join-now").click()
    return page


def counts(page: Page, other: str) -> dict[str, int]:
    """Return what a page has sent and what it has of the other."""
    stats = page.evaluate("window.guard.stats()") or {"sent": [], "received": []}
    mine = [r for r in stats["received"] if r["participant"] == other]

    def most(reports: list[dict[str, Any]], kind: str, name: str) -> int:
        return max((r[name] or 0 for r in reports if r["kind"] == kind), default=0)

    return {
        "encoded": most(stats["sent"], "video", "framesEncoded"),
        "audio_sent": most(stats["sent"], "audio", "packetsSent"),
        "decoded": most(mine, "video", "framesDecoded"),
        "freezes": most(mine, "video", "freezeCount"),
        "dropped": most(mine, "video", "framesDropped"),
        "video_lost": most(mine, "video", "packetsLost"),
        "video_received": most(mine, "video", "packetsReceived"),
    }


def pages(folder: Path, seconds: float) -> dict[str, Any]:
    """Hold the call from inside the pages' namespace; return what each page counted."""
    trusted = ssl.create_default_context(cafile=str(folder / "tls-cert.pem"))
    trusted.check_hostname = False
    headers = {"Authorization": f"Bearer {token(folder)}"}
    with ExitStack() as stack:
        http = stack.enter_context(
            httpx.Client(base_url=f"https://{SERVER_IP}:{PORT}", headers=headers, verify=trusted)
        )
        people = [{"id": who, "role": who, "suspectable": True} for who in CLIPS]
        made = http.post("/api/v1/sessions", json={"profile": "meeting", "participants": people})
        tokens = {p["id"]: p["token"] for p in made.raise_for_status().json()["participants"]}
        devices = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-bench-")))
        chromium = stack.enter_context(sync_playwright()).chromium
        open_pages = {
            who: enter(
                stack,
                chromium,
                tokens[who],
                fake_devices(clips_dir() / f"{clip}.webm", devices, seconds=CLIP_S),
            )
            for who, clip in CLIPS.items()
        }
        return measure(open_pages, seconds)


def measure(open_pages: dict[str, Page], seconds: float) -> dict[str, Any]:
    """Count over ``seconds``, once both pages see each other."""
    others = dict(zip(open_pages, reversed(open_pages), strict=True))
    deadline = time.monotonic() + 60
    while not all(counts(page, others[who])["decoded"] > 30 for who, page in open_pages.items()):
        if time.monotonic() > deadline:
            stats = {who: page.evaluate("window.guard.stats()") for who, page in open_pages.items()}
            raise SystemExit(f"the pages do not see each other: {json.dumps(stats)}")
        next(iter(open_pages.values())).wait_for_timeout(250)

    def now() -> dict[str, dict[str, int]]:
        sent = {who: counts(page, others[who]) for who, page in open_pages.items()}
        next(iter(open_pages.values())).wait_for_timeout(SETTLE_S * 1000)
        seen = {who: counts(page, others[who]) for who, page in open_pages.items()}
        return {
            who: {**seen[who], **{name: sent[who][name] for name in ("encoded", "audio_sent")}}
            for who in open_pages
        }

    before = now()
    next(iter(open_pages.values())).wait_for_timeout(seconds * 1000)
    after = now()
    return {who: {name: after[who][name] - before[who][name] for name in after[who]} for who in open_pages}


def judge(seen: dict[str, Any], heard: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the shares by participant: frames decoded by the other, and voice heard or concealed."""
    others = dict(zip(seen, reversed(seen), strict=True))
    out = {}
    for who, other in others.items():
        voice = heard["voices"][who]
        out[who] = {
            "frames_encoded": seen[who]["encoded"],
            "frames_decoded_share": round(seen[other]["decoded"] / max(1, seen[who]["encoded"]), 4),
            "freezes": seen[other]["freezes"],
            "pictures_dropped_by_page": seen[other]["dropped"],
            "packets_lost_for_page": seen[other]["video_lost"],
            "packets_received_by_page": seen[other]["video_received"],
            "voice_packets_lost_share": round(voice["lost"] / max(1, voice["lost"] + voice["packets"]), 4),
            "voice_heard_share": round(voice["heard"] / voice["last"], 4),
            "voice_concealed_share": round(voice["concealed"] / voice["last"], 4),
            "voice_covered_share": round((voice["heard"] + voice["concealed"]) / voice["last"], 4),
        }
    return out


def run(options: argparse.Namespace) -> int:
    """Build the network, hold the call, judge."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guard-bench-")))
        result = folder / "heard.json"
        server, browsers = stack.enter_context(namespaces(options.loss))
        with guard_server(server, folder, result):
            inner = [
                sys.executable,
                "-m",
                "benchmarks.loss",
                "--pages",
                str(folder),
                "--seconds",
                str(options.seconds),
            ]
            done = subprocess.run(
                ["ip", "netns", "exec", browsers, *inner], stdout=subprocess.PIPE, check=True
            )
        lost = {"into_guard": dropped(server), "into_pages": dropped(browsers)}
        full = {"guard": overflowed(server), "pages": overflowed(browsers)}
        heard = json.loads(result.read_text())
        shares = judge(json.loads(done.stdout), heard)
    ok = all(min(s["frames_decoded_share"], s["voice_covered_share"]) >= WANTED for s in shares.values())
    document = {
        "ok": ok,
        "loss_percent_per_hop": options.loss,
        "seconds": options.seconds,
        "shares": shares,
        "packets_dropped_by_the_network": lost,
        "datagrams_at_full_sockets": full,
        "tap_dropped": heard["tap_dropped"],
        "relay": {name: value for name, value in heard["relay"].items() if name != "peer"},
        "machine": machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "loss.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    return 0 if ok else 1


def main() -> int:
    """Parse the options; without root or the tools say what is missing and do nothing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loss", type=int, default=5, help="per cent, on every hop")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pages", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pages is not None:
        sys.stdout.write(json.dumps(pages(options.pages, options.seconds)))
        return 0
    missing = [tool for tool in ("ip", "nft", CHROMIUM) if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        sys.stderr.write(f"benchmarks.loss needs root, ip, nft and Chromium; missing: {missing or 'root'}\n")
        return 2
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
