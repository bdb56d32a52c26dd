"""What a page says of its camera, over the link into the analysis process."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import load_models, settings_config, thresholds_of
from guard.challenge.outputs import CheckConfig
from guard.clock import SystemClock
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.resources import models_dir
from guard.types import Kind, TrackKey
from guard.workers.wire import encode_message

SIZE = {"width": 640, "height": 360, "rate_hz": 30.0}
REPORT: dict[str, Any] = {
    "kind": "virtual",
    "automated": False,
    "has_id": True,
    "facing": None,
    "changes": 0,
    "requested": SIZE,
    "reported": SIZE,
    "actual": SIZE,
    "range": None,
    "first_picture_ms": 300.0,
    "resize_ms": None,
    "jitter_ms": None,
    "pictures": 90,
}


async def test_the_analysis_process_keeps_the_report_of_whom_it_is_about() -> None:
    models = load_models(models_dir())
    worker = AnalysisWorker(
        SystemClock(),
        models,
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=check_tools(CheckConfig(), None),
    )
    ours, theirs = socket.socketpair()
    running = asyncio.create_task(worker.run(theirs))
    with ours:
        ours.sendall(encode_message({"type": "device", "session": "s", "participant": "p", "report": REPORT}))
    await running
    assert models.cameras.declines(TrackKey("s", "p", Kind.VIDEO)) is None
    assert models.cameras.declines(TrackKey("s", "q", Kind.VIDEO)) == "no_device_report"
