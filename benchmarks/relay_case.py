"""Runs one case of the relay benchmark: starts the relay and the load, measures, reads the logs."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aioice.ice import get_host_addresses
from numpy.typing import NDArray

from benchmarks.wire_peer import LOOPBACK

REPEAT_WINDOW_S = 3.0
"""A packet seen later than this after it was sent belongs to the clip's next round."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is run: ``calls`` rooms of ``parties`` participants on one system."""

    system: str
    calls: int
    parties: int

    @property
    def name(self) -> str:
        return f"{self.calls} x {self.parties}"

    @property
    def participants(self) -> list[tuple[str, str]]:
        return [(f"call{c}", f"p{p}") for c in range(self.calls) for p in range(self.parties)]


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured; None where it could not be.

    ``delivered_ratio`` is packets received over packets that should have been; ``own_late_ms`` the
    worst delay of the load's own loops, which every delay includes. ``waited_ratio`` is the share of
    time the relay's threads were ready to run but had no core (above 1 with many threads).
    """

    case: dict[str, Any]
    seconds: float
    cpu_s_per_call_s: float | None
    memory_mib_per_call: float | None
    memory_mib_idle: float | None
    delay_ms: dict[str, float] | None
    delay_of: str
    packets_per_s: float
    delivered_ratio: float
    load_cpu_cores: float
    waited_ratio: float
    own_late_ms: float
    note: str = ""


def _schedstat(pid: int, field: int) -> float:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[field]) for thread in threads) / 1e9


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process, to the nanosecond (``/proc/pid/stat`` counts in 10 ms)."""
    return _schedstat(pid, 0)


def waited_s(pid: int) -> float:
    """Time its threads together stood in run queues."""
    return _schedstat(pid, 1)


def memory_mib(pid: int) -> float:
    """Memory of the process's own: resident and not backed by a file others share."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) / 1024


def addresses(system: str) -> list[str]:
    """Return where the load binds: loopback; Janus itself never uses that, so beside it the host's own."""
    return get_host_addresses(use_ipv4=True, use_ipv6=False)[:1] if system == "janus" else list(LOOPBACK)


def janus_folder() -> Path:
    """Return where Debian keeps Janus's plugins."""
    return next(Path("/usr/lib").glob("*/janus"))


class Child:
    """A process that is spoken to in lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid

    async def tell(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        await self.process.stdin.drain()

    async def hear(self, timeout_s: float) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self.process.stdout.readline()
        if not line:
            raise ConnectionError("a process of the benchmark ended early; see its message above")
        return line.decode().strip()


@asynccontextmanager
async def child(*command: str) -> AsyncIterator[Child]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield Child(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def relay_process(system: str, folder: Path) -> AsyncIterator[tuple[int, str]]:
    """Start a relay; yield its process id and the address of its control."""
    if system == "janus":
        async with janus(folder) as started:
            yield started
        return
    control = str(folder / "control")
    async with child(sys.executable, "-m", "benchmarks.relay_servers", system, control) as server:
        await server.hear(30)
        yield server.pid, control


def janus_installed() -> bool:
    return shutil.which("janus") is not None


@asynccontextmanager
async def janus(folder: Path) -> AsyncIterator[tuple[int, str]]:
    """Start Debian's Janus with nothing but VideoRoom and its WebSocket API, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lib = janus_folder()
    for part, files in {
        "plugins": ["libjanus_videoroom.so"],
        "transports": ["libjanus_websockets.so"],
        "events": [],
        "loggers": [],
    }.items():
        (folder / part).mkdir()
        for name in files:
            (folder / part / name).symlink_to(lib / part / name)
    folders = "\n".join(
        f'  {p}_folder = "{folder / p}"' for p in ("plugins", "transports", "events", "loggers")
    )
    core = f'general: {{\n  configs_folder = "{folder}"\n{folders}\n  debug_level = 2\n}}\n'
    web = f'general: {{\n  ws = true\n  ws_port = {port}\n  ws_ip = "127.0.0.1"\n  wss = false\n}}\n'
    for name, text in {
        "janus.jcfg": core,
        "janus.transport.websockets.jcfg": web + "admin: {\n  admin_ws = false\n}\n",
        "janus.plugin.videoroom.jcfg": "general: {\n}\n",
    }.items():
        (folder / name).write_text(text)
    async with child(
        "janus", "-F", str(folder), "-C", str(folder / "janus.jcfg"), "-L", str(folder / "log")
    ) as server:
        await _listening(port, server)
        yield server.pid, f"ws://127.0.0.1:{port}"
        server.process.terminate()


async def _listening(port: int, server: Child) -> None:
    async with asyncio.timeout(20):
        while server.process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return
    raise ConnectionError("Janus did not start")


async def run_case(case: Case, clip: Path, *, seconds: float, seed: int) -> Result:
    """Run one case and return what was measured.

    Raises:
        ConnectionError: the relay or the load did not come up.
        TimeoutError: likewise.
    """
    with tempfile.TemporaryDirectory(prefix="guard-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            pid, control = await stack.enter_async_context(relay_process(case.system, folder))
            idle_mib = memory_mib(pid)
            loads = []
            for role in ("publish", "subscribe"):
                load = await stack.enter_async_context(child(sys.executable, "-m", "benchmarks.relay_load"))
                await load.tell(
                    role=role,
                    system=case.system,
                    control=control,
                    participants=case.participants,
                    clip=str(clip),
                    log=str(folder / f"{role}.npz"),
                    seed=seed,
                    addresses=addresses(case.system),
                    decode=case.system == "aiortc",
                )
                await load.hear(30 + 3 * case.calls * case.parties)
                loads.append(load)
            measured = await _measure(pid, loads, seconds)
        return _result(case, folder, measured, idle_mib)


async def _measure(pid: int, loads: list[Child], seconds: float) -> dict[str, float]:
    for load in loads:
        await load.tell(do="start")
    await asyncio.sleep(3.0)
    for load in loads:
        await load.tell(do="go")
    pids = [pid, *(load.pid for load in loads)]
    loop = asyncio.get_running_loop()
    began, cpu, waited = loop.time(), [cpu_s(p) for p in pids], waited_s(pid)
    await asyncio.sleep(seconds)
    took = loop.time() - began
    used = [cpu_s(p) - before for p, before in zip(pids, cpu, strict=True)]
    measured = {
        "seconds": took,
        "cpu_s": used[0],
        "load_cpu_s": max(used[1:]),
        "waited_s": waited_s(pid) - waited,
        "memory_mib": memory_mib(pid),
    }
    late = []
    for load in loads:
        await load.tell(do="stop")
        late.append(float(json.loads(await load.hear(30))["late_ms"]))
    return {**measured, "late_ms": max(late)}


def _result(case: Case, folder: Path, measured: dict[str, float], idle_mib: float) -> Result:
    sent, got = (dict(np.load(folder / f"{role}.npz")) for role in ("publish", "subscribe"))
    encoded = case.system == "aiortc"
    delays = frame_delays_s(sent, got) if encoded else packet_delays_s(sent, got)
    seconds = measured["seconds"]
    expected = len(sent["times"]) * (case.parties - 1)
    # a re-encoding relay makes packets of its own: count the pictures of the one track that is decoded
    delivered = len(got["times"]) / max(1, expected)
    if encoded:
        stream = got["frames"][0, 0] if len(got["frames"]) else 0
        delivered = len(got["frames"]) / max(1, int((sent["frames"][:, 0] == stream).sum()))
    return Result(
        case=asdict(case),
        seconds=round(seconds, 2),
        cpu_s_per_call_s=round(measured["cpu_s"] / seconds / case.calls, 4),
        memory_mib_per_call=round((measured["memory_mib"] - idle_mib) / case.calls, 2),
        memory_mib_idle=round(idle_mib, 1),
        delay_ms=percentiles_ms(delays),
        delay_of="pictures, end to end with decode and encode" if encoded else "packets",
        packets_per_s=round(len(got["times"]) / seconds, 1),
        delivered_ratio=round(delivered, 4),
        load_cpu_cores=round(measured["load_cpu_s"] / seconds, 3),
        waited_ratio=round(measured["waited_s"] / seconds, 3),
        own_late_ms=measured["late_ms"],
    )


def percentiles_ms(delays_s: NDArray[np.float64]) -> dict[str, float] | None:
    """Return p50, p95, p99 in milliseconds and how many delays they come from."""
    if not len(delays_s):
        return None
    p50, p95, p99 = np.percentile(delays_s * 1000, [50, 95, 99]).tolist()
    return {"p50": round(p50, 2), "p95": round(p95, 2), "p99": round(p99, 2), "n": len(delays_s)}


Logged = dict[str, NDArray[Any]]


def packet_delays_s(sent: Logged, got: Logged) -> NDArray[np.float64]:
    """Match each received packet with the newest earlier sending of the same bytes by the same publisher."""
    out: list[NDArray[np.float64]] = []
    for stream in np.unique(got["streams"]):
        mine, theirs = sent["streams"] == stream, got["streams"] == stream
        hashes, first_s = sent["hashes"][mine], sent["times"][mine]
        out.append(_matched(hashes, first_s, got["hashes"][theirs], got["times"][theirs]))
    return np.concatenate(out) if out else np.empty(0)


def frame_delays_s(sent: Logged, got: Logged) -> NDArray[np.float64]:
    """The same for numbered pictures."""
    if not len(got["frames"]):
        return np.empty(0)
    stream = got["frames"][0, 0]
    mine = sent["frames"][sent["frames"][:, 0] == stream]
    numbers = got["frames"][:, 1].astype(np.int64)
    return _matched(mine[:, 1].astype(np.int64), mine[:, 2], numbers, got["frames"][:, 2])


def _matched(
    sent_keys: NDArray[np.int64],
    sent_s: NDArray[np.float64],
    got_keys: NDArray[np.int64],
    got_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    times: dict[int, list[float]] = {}
    for key, at in zip(sent_keys.tolist(), sent_s.tolist(), strict=True):
        times.setdefault(key, []).append(at)
    delays = []
    for key, at in zip(got_keys.tolist(), got_s.tolist(), strict=True):
        earlier = [t for t in times.get(key, ()) if at - REPEAT_WINDOW_S < t <= at]
        # the same bytes twice within the window (silence): which one arrived cannot be told
        if len(earlier) == 1:
            delays.append(at - earlier[0])
    return np.array(delays)
