"""The relay process as ``guard serve`` builds it keeps signed records that verify from outside."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from guard.app.application import Application
from guard.cli import app
from guard.clock import SystemClock
from guard.config import load_settings
from guard.evidence.keys import PUBLIC_NAME
from guard.signalling.check_messages import ClientMessage, ComparedMessage
from guard.signalling.session import NewParticipant
from guard.types import Role, State
from tests.evidence.support import records


async def test_a_check_in_a_session_leaves_closed_records_that_verify(tmp_path: Path) -> None:
    config = tmp_path / "guard.toml"
    config.write_text(
        f'[server]\ndata_dir = "{tmp_path / "data"}"\nhost = "127.0.0.1"\nport = 0\ntls = false\n'
        "[analysis]\nenabled = false\n"
    )
    served = Application(load_settings(config), config, SystemClock())
    await served.start()
    try:
        people = [NewParticipant("customer", Role.CUSTOMER), NewParticipant("agent", Role.AGENT)]
        session = served.sessions.create("kz-ardfm", people)
        session.participant("customer").connected = True
        message = ClientMessage(type="client", version="010101300000", files={})
        served.checks.page_says(session.id, "customer", message)
        check = served.checks.start(session.id, "customer", "mutual", language="kk", by="agent")
        served.checks.page_says(
            session.id, "customer", ComparedMessage(type="compared", id=check, same=False)
        )
        served.calls.analysis_up()
        assert session.participant("customer").state is State.UNDECIDED, "the code doubts the agent"
    finally:
        await served.stop()
    path = tmp_path / "data" / "records" / f"{session.id}.jsonl"
    assert records(path)[-1].type == "closed"
    found = [record for record in records(path) if record.type.startswith("challenge")]
    assert [record.type for record in found] == ["challenge_begun", "challenge_attempt"]
    claims = found[0].body["client"]
    assert isinstance(claims, dict)
    assert claims["level"] == "unusual"
    assert claims["reasons"] == ["no_device_report", "client_version_other", "client_files_unnamed"]
    assert claims["claimed"]["version"] == "[iin removed]"  # type: ignore[index, call-overload]
    assert (found[1].body["result"], found[1].body["reason"]) == ("fail", "codes_different")
    key = str(tmp_path / "data" / PUBLIC_NAME)
    words = ["evidence", "verify", str(path), "--key", key, "--closed", "--json"]
    assert CliRunner().invoke(app, words).exit_code == 0
