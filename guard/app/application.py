"""The relay process: builds every part of it, once, and joins them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from guard.alert import Alert
from guard.api import server as http
from guard.api.app import create_app
from guard.api.bank import BankAsker
from guard.api.services import Services
from guard.api.tls import host_addresses, own_certificate
from guard.api.webhook import WebhookSender
from guard.app.alarms import Alarms
from guard.app.calls import Calls
from guard.app.checks import Checks
from guard.app.client_record import ClientRecords, shipped_client
from guard.app.data import data_folder
from guard.app.deliver import Deliverer, Ports
from guard.app.drills import Drills
from guard.app.enrolment import FACE, VOICE, Enrolments
from guard.app.injection import Injection
from guard.app.playbooks import PlaybookPorts, Playbooks
from guard.app.preflight import (
    advice,
    configured_certificate,
    drill_clip,
    recogniser,
    warnings,
    webhook_config,
)
from guard.app.recorder import SessionRecords
from guard.app.running_check import MUTUAL
from guard.app.tap_pump import TapPump
from guard.app.watch import MetricsPage, watch_loop
from guard.clock import Clock
from guard.config import Settings
from guard.errors import GuardError
from guard.evidence.book import FOLDER_NAME, RecordBook
from guard.evidence.keys import load_signing_key
from guard.log import get_logger
from guard.media.announcements import announcements
from guard.metrics import Metrics
from guard.policy.messages import Channel
from guard.policy.profile import shipped_profiles
from guard.policy.texts import LANGUAGES, load_texts
from guard.relay.events import RelayEvent
from guard.relay.relay import Relay
from guard.signalling.sessions import Sessions
from guard.signalling.tokens import Tokens, load_key
from guard.types import Kind, Role, TrackKey
from guard.workers.supervisor import Worker
from guard.workers.wire import Record

log = get_logger("serve")
SWEEP_EVERY_S = 60.0


class Application:
    """The relay process: everything that lives as long as ``guard serve``."""

    def __init__(self, settings: Settings, config_path: Path | None, clock: Clock) -> None:
        folder = data_folder(settings)
        self._settings = settings
        self._arguments = ("--config", str(config_path)) if config_path is not None else ()
        self._clock = clock
        self.metrics = Metrics()
        self.tokens = Tokens(load_key(folder / "token.key"), clock)
        self.sessions = Sessions(
            clock, settings.sessions, profiles=shipped_profiles(), suspectable=self._suspectable
        )
        webhook = webhook_config(settings)
        self.webhook = None if webhook is None else WebhookSender(webhook, clock)
        self.bank = None if webhook is None else BankAsker(webhook, clock)
        self._build_media()
        self._build_calls()
        self._build_checks(folder)
        self._build_playbooks()
        self._build_services()
        self.calls.attach(self.services.actions, self.services.rooms.media_lost, self.checks)
        self._check_settings()
        self.http = self._build_http(folder)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where the call page is, as seen from this machine."""
        scheme = "https" if self._settings.server.tls else "http"
        host = self._settings.server.host
        shown = "localhost" if host in ("0.0.0.0", "::") else host
        return f"{scheme}://{shown}:{self.http.port}/"

    async def start(self) -> None:
        """Start the children, then listen."""
        if self._settings.analysis.enabled:
            self.analysis.start()
        await self.injection.start()
        await self.http.start()
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(watch_loop(self._clock, self.metrics)))
        self._tasks.append(loop.create_task(self._sweep()))
        if self.webhook is not None:
            self._tasks.append(loop.create_task(self.webhook.run()))

    async def stop(self) -> None:
        """Stop listening, end every call, end the children."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.sessions.close()
        await self.services.connections.settle()
        await self.http.stop()
        await self.relay.shutdown()
        self.calls.close()
        self.checks.close()
        self.playbooks.close()
        if self.bank is not None:
            await self.bank.close()
        await asyncio.to_thread(self.records.close)
        self.pump.close()
        await self.injection.stop()
        await self.analysis.stop()

    async def _sweep(self) -> None:
        """End sessions that nobody uses any more, once a minute."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self.sessions.sweep()

    def not_ready(self) -> Mapping[str, str]:
        """Return the parts that do not work, with the reason."""
        failing: dict[str, str] = {}
        if not self.analysis.up:
            failing["analysis"] = "disabled" if not self._settings.analysis.enabled else "down"
        for signal_name, code in dict(self.analysis.last_heartbeat.get("model_errors", {})).items():
            failing[f"model:{signal_name}"] = str(code)
        return failing

    def _suspectable(self, profile: str, role: Role) -> bool:
        """Return whether a profile has people of a role analysed."""
        return role in self._settings.profile_named(profile).suspectable

    def _build_media(self) -> None:
        settings = self._settings
        self.pump = TapPump(settings.analysis.tap_packets)
        self.relay = Relay(settings.relay, clock=self._clock, tap=self.pump.tap, on_event=self._from_relay)
        self.analysis = Worker(
            "analysis",
            clock=self._clock,
            config=settings.analysis.worker,
            on_record=self._from_analysis,
            on_up=self._analysis_up,
            on_down=self._analysis_down,
            on_writable=self._analysis_writable,
            arguments=self._arguments,
        )
        self.injection = Injection(
            self.relay,
            self._clock,
            texts=load_texts(),
            language=settings.language,
            reads=self.sessions.language_of,
            announcements=announcements(LANGUAGES, settings.language),
            config=settings.analysis.worker,
            lost=self._banner_lost,
            on_writable=self.pump.resume,
            arguments=self._arguments,
        )
        self.voices = Enrolments(self.analysis.write, VOICE)
        self.faces = Enrolments(self.analysis.write, FACE)
        self.sessions.listen(ended=lambda session: self.voices.withdraw(session.id))
        self.sessions.listen(ended=lambda session: self.faces.withdraw(session.id))
        self.pump.add(self.analysis, lambda _: True)
        self.pump.add(self.injection.worker, self.injection.wants)

    def _build_calls(self) -> None:
        self.alarms = Alarms(self.sessions, log.warning)
        ports = Ports(
            messages=self.relay,
            injection=self.injection,
            webhook=self.webhook.offer if self.webhook is not None else None,
            log=log.warning,
            error=log.error,
            counters=self.metrics,
            drills=self.metrics.drills,
            alarms=self.alarms,
            told=self._told,
        )
        self.deliverer = Deliverer(self.sessions, ports, self._clock)
        self.calls = Calls(
            clock=self._clock,
            sessions=self.sessions,
            deliverer=self.deliverer,
            media=self.relay,
            analysis=self.analysis,
            counters=self.metrics,
            drills=self.metrics.drills,
            alerts=self._settings.alerts,
            texts=load_texts(),
            profile_of=self._settings.profile_named,
        )

    def _build_checks(self, folder: Path) -> None:
        key = load_signing_key(folder)
        book = RecordBook(folder / FOLDER_NAME, key, self._clock)
        self.records = SessionRecords(book, key, self._clock, self._record_failed)
        self.checks = Checks(
            clock=self._clock,
            sessions=self.sessions,
            analysis=self.analysis,
            messages=self.relay,
            recorder=self.records,
            texts=load_texts(),
            judged=self.calls.judged,
            listens=lambda: bool(self.analysis.last_heartbeat.get("recogniser")),
            graded=ClientRecords(shipped_client()),
            done=self._attempt_over,
        )

    def _build_playbooks(self) -> None:
        self.drills = Drills(
            clock=self._clock,
            sessions=self.sessions,
            calls=self.calls,
            analysis=self.analysis,
            record=self.records.record,
            log=log.warning,
            counter=self.metrics.drills,
        )
        ports = PlaybookPorts(
            messages=self.relay,
            alarms=self.alarms,
            bank=self.bank,
            want_check=self.checks.want,
            settles=self.calls.settles,
            webhook=self.webhook.offer if self.webhook is not None else lambda _: None,
            record=self.records.record,
            error=log.error,
            count=self.metrics.playbook_step,
            reacted=self.drills.reacted,
        )
        self.playbooks = Playbooks(
            clock=self._clock,
            sessions=self.sessions,
            texts=load_texts(),
            profile_of=self._settings.profile_named,
            ports=ports,
        )
        # last of all: what the end of a session leaves to be written comes before its records are closed
        self.sessions.listen(ended=lambda session: self.records.ended(session.id))

    def _build_services(self) -> None:
        settings = self._settings
        self.services = Services.build(
            clock=self._clock,
            tokens=self.tokens,
            sessions=self.sessions,
            media=self.relay,
            sink=self.calls,
            voices=self.voices,
            faces=self.faces,
            ready=self.not_ready,
            metrics=MetricsPage(
                self.metrics,
                relay=self.relay,
                sessions=self.sessions,
                calls=self.calls,
                workers=[self.analysis, self.injection.worker],
                pump=self.pump,
            ).render,
            reasons=partial(load_texts().with_prefix, "reason."),
            on_page=self.calls.page,
            on_device=self.calls.device,
            on_check=self.checks.page_says,
            checks=self.checks,
            operations=self.playbooks,
            drills=self.drills,
            config=settings.api,
            connections_config=settings.connections,
            rooms_config=settings.rooms,
        )

    def _build_http(self, folder: Path) -> http.HttpServer:
        settings = self._settings
        tls = configured_certificate(settings)
        if settings.server.tls and tls is None:
            tls = own_certificate(folder, self._clock, host_addresses())
        where = http.ServerConfig(settings.server.host, settings.server.port, tls)
        return http.HttpServer(create_app(self.services), where)

    def _check_settings(self) -> None:
        """Find now what would otherwise fail in the middle of a call."""
        recogniser(self._settings)
        advice(self._settings)
        drill_clip(self._settings)
        for why in warnings(self._settings):
            log.warning("profile_warning", why=why)

    def _banner_lost(self, alert: Alert, recipient: str) -> None:
        self.deliverer.fail(alert, recipient, Channel.BANNER.value, "process_down")

    def _told(self, alert: Alert) -> None:
        self.playbooks.told(alert)

    def _attempt_over(self, session: str, participant: str, kind: str, result: str, again: bool) -> None:
        if not any(found.drill for found in self.sessions if found.id == session):
            self.metrics.challenge(kind, result)
        if again or kind == MUTUAL:  # codes that differ say something of the agent, not of the customer
            return
        # the playbook first: it must not have a check started by what people are told of this one
        self.playbooks.check_over(session, participant, result)
        if result == "fail":
            self.calls.check_failed(session, participant)

    def _record_failed(self, session: str, kind: str, error: GuardError) -> None:
        """A record is lost: loud, since what is claimed later rests on it."""
        log.error("record_lost", session=session, record=kind, code=error.code, why=error.message)
        self.metrics.record_lost(error.code)

    def _from_relay(self, event: RelayEvent) -> None:
        self.calls.on_relay(event)

    def _from_analysis(self, record: Record) -> None:
        if not isinstance(record, dict):
            return
        if record.get("type") == "keyframe":
            key = TrackKey(str(record["session"]), str(record["participant"]), Kind.VIDEO)
            self.relay.request_keyframe(key)
        elif record.get("type") == "voice":
            self.voices.answered(record)
        elif record.get("type") == "face":
            self.faces.answered(record)
        elif str(record.get("type")).startswith("drill_"):
            self.drills.on_analysis(record)
        else:
            self.calls.on_analysis(record)

    def _analysis_writable(self) -> None:
        self.voices.flush()
        self.faces.flush()
        self.pump.resume()

    def _analysis_up(self) -> None:
        log.info("analysis_up", restarts=self.analysis.restarts)
        self.pump.restart(self.analysis)
        self.calls.analysis_up()
        self.voices.analysis_up()
        self.faces.analysis_up()

    def _analysis_down(self, reason: str) -> None:
        log.error("analysis_down", reason=reason, restarts=self.analysis.restarts)
        self.drills.analysis_down()
        self.calls.analysis_down(reason)
        self.voices.analysis_down()
        self.faces.analysis_down()
