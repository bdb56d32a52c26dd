"""However the demonstration ends, no server stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_server_outlives_the_demonstration(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "guard", "demo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "guard listens" in line:
                break
        started = descendants(demo.pid)
        assert started
        os.kill(demo.pid, number)
        assert demo.wait(20) == code
        assert demo.stdout is not None
        assert demo.stdout.read() == ""
    deadline = time.monotonic() + 20
    while not all(map(ended, started)):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)
