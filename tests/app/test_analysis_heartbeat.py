"""What the analysis process says of itself a few times a second."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from guard.app.analysis import AnalysisWorker
from guard.app.check_tools import check_tools
from guard.app.parts import load_models, settings_config, thresholds_of
from guard.challenge.outputs import CheckConfig
from guard.clock import ManualClock
from guard.codec.receive import ReceiveConfig
from guard.config import Settings
from guard.resources import models_dir
from guard.types import FloatArray
from guard.workers.wire import Decoder, Record


class Writer:
    """A recogniser that is never asked here."""

    def transcribe(self, samples: FloatArray, language: str) -> str:
        raise AssertionError((samples, language))


@pytest.mark.parametrize("recogniser", [None, Writer()])
async def test_the_analysis_process_tells_whether_it_writes_down_words(recogniser: Writer | None) -> None:
    worker = AnalysisWorker(
        ManualClock(100.0),
        load_models(models_dir()),
        config=settings_config(Settings()),
        receive=ReceiveConfig(),
        thresholds_of=thresholds_of,
        checks=replace(check_tools(CheckConfig(), None), recogniser=recogniser),
    )
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    running = asyncio.create_task(worker.run(theirs))
    decoder, told = Decoder(), list[Record]()
    while not told:
        told += decoder.feed(await asyncio.get_running_loop().sock_recv(ours, 65536))
    ours.close()
    await running
    (beat,) = [message for message in told if isinstance(message, dict)]
    assert (beat["type"], beat["recogniser"]) == ("heartbeat", recogniser is not None)
