"""Banner and announcement: over whose picture and voice, for whom, and who makes them.

The banner process draws and encodes; ``relay/inject.py`` switches outputs over and back.
Here stands only who sees what, and the clock that keeps both going.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from guard.alert import Alert
from guard.app.reach import NOT_CONNECTED
from guard.clock import Clock
from guard.policy.texts import Texts
from guard.relay.inject import Announcement, BannerSwitch
from guard.relay.relay import Relay
from guard.types import Kind, TapPacket, TrackKey
from guard.workers.supervisor import Worker, WorkerConfig
from guard.workers.wire import EncodedPicture, Message, Record

BANNER_POLL_S = 0.25
ANNOUNCE_POLL_S = 0.01


class Injection:
    """All banners and announcements of the relay process.

    A banner is one picture for all who watch it: it is in the language that all of them read, and in the
    site's where they read several. An announcement is in the language of the one who hears it.

    Args:
        language: the site's.
        reads: tells the language a participant chose (session, participant); None where they chose none.
        announcements: by language, what is heard in place of the suspect's voice, as Opus packets of 20 ms.
        lost: told (alert, recipient) of every banner that is on a screen when its process goes down.
        on_writable: called when the banner process takes packets again.
        arguments: command-line words for the banner process.
    """

    def __init__(
        self,
        relay: Relay,
        clock: Clock,
        *,
        texts: Texts,
        language: str,
        reads: Callable[[str, str], str | None],
        announcements: Mapping[str, Sequence[bytes]],
        config: WorkerConfig,
        lost: Callable[[Alert, str], None],
        on_writable: Callable[[], None],
        arguments: Sequence[str] = (),
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._texts = texts
        self._language = language
        self._reads = reads
        self._announcements = announcements
        self._switches: dict[TrackKey, BannerSwitch] = {}
        self._words: dict[TrackKey, Message] = {}
        self._lost = lost
        self._shown: dict[tuple[TrackKey, str], Alert] = {}
        self._playing: dict[tuple[TrackKey, str], Announcement] = {}
        self._task: asyncio.Task[None] | None = None
        self._work = asyncio.Event()
        self.worker = Worker(
            "banner",
            clock=clock,
            config=config,
            on_record=self._from_worker,
            on_up=self._worker_up,
            on_down=self._worker_down,
            on_writable=on_writable,
            arguments=arguments,
        )

    async def start(self) -> None:
        """Start the banner process: warm, so that a warning does not wait for it."""
        self.worker.start()
        self._task = asyncio.get_running_loop().create_task(self._keep_going())

    async def stop(self) -> None:
        """End every injection and the banner process."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for announcement in self._playing.values():
            announcement.stop()
        await self.worker.stop()

    def wants(self, packet: TapPacket) -> bool:
        """Return whether the banner process needs a packet."""
        return packet.key in self._words

    def start_banner(self, alert: Alert, recipient: str) -> str | None:
        """Show the banner over the suspect's picture to one recipient.

        Returns:
            ``no_video`` or ``process_down`` where it cannot be shown now, ``NOT_CONNECTED`` where the
            recipient does not watch, else None.

        Raises:
            ValueError: the recipient is the suspect.
        """
        if recipient == alert.participant:
            raise ValueError("the banner is never shown to the one it warns of")
        key = TrackKey(alert.session, alert.participant, Kind.VIDEO)
        codec = self._relay.codec(key)
        if codec is None:
            return "no_video"
        switch = self._switches.get(key)
        if switch is None:
            switch = BannerSwitch(self._relay, key, codec, lambda: self._ask_keyframe(key))
            self._switches[key] = switch
        self._shown.pop((key, recipient), None)  # the newest comes last
        self._shown[key, recipient] = alert
        self._words[key] = self._words_of(key, alert)
        taken = self.worker.send(self._words[key])
        switch.show(recipient)
        self._work.set()
        if not self._reaches(key, recipient):
            return NOT_CONNECTED
        return None if taken else "process_down"

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        """Take it away again."""
        key = TrackKey(alert.session, alert.participant, Kind.VIDEO)
        self._shown.pop((key, recipient), None)
        switch = self._switches.get(key)
        if switch is not None:
            switch.hide(recipient)
        self._keep_words(key)

    def start_announcement(self, alert: Alert, recipient: str) -> str | None:
        """Play the announcement once to one recipient in place of the suspect's voice.

        Returns:
            ``no_audio`` where there is no voice to speak over, ``NOT_CONNECTED`` where the recipient does
            not listen, else None.
        """
        key = TrackKey(alert.session, alert.participant, Kind.AUDIO)
        if self._relay.codec(key) is None:
            return "no_audio"
        language = self._reads(alert.session, recipient) or self._language
        self._playing[key, recipient] = Announcement(
            self._relay, key, self._announcements[language], [recipient], self._clock.now()
        )
        self._work.set()
        return None if self._reaches(key, recipient) else NOT_CONNECTED

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        """Stop it where it still plays."""
        announcement = self._playing.pop(
            (TrackKey(alert.session, alert.participant, Kind.AUDIO), recipient), None
        )
        if announcement is not None:
            announcement.stop()

    def _words_of(self, key: TrackKey, alert: Alert) -> Message:
        """Return what the banner process is told to draw over a track."""
        watching = [who for shown, who in self._shown if shown == key and self._reaches(key, who)]
        read = {self._reads(key.session, who) for who in watching}
        language = (read.pop() if len(read) == 1 else None) or self._language
        return {
            "type": "banner_start",
            "session": key.session,
            "participant": key.participant,
            # the next step comes first and says what is wrong; a second line would hide more of the face
            "title": self._texts.get(banner_key(alert), language),
            "advice": "",
            "state": alert.state.value,
        }

    def _keep_words(self, key: TrackKey) -> None:
        """Change the words of a banner where those who watch it have become others."""
        alerts = [alert for (shown, _), alert in self._shown.items() if shown == key]
        if alerts and (words := self._words_of(key, alerts[-1])) != self._words[key]:
            self._words[key] = words
            self.worker.send(words)

    def _reaches(self, key: TrackKey, recipient: str) -> bool:
        """Return whether the track goes to the recipient; who connects later is shown it then."""
        return any(output.participant == recipient for output in self._relay.outputs(key))

    def _ask_keyframe(self, key: TrackKey) -> None:
        self.worker.send({"type": "banner_keyframe", "session": key.session, "participant": key.participant})

    def _from_worker(self, record: Record) -> None:
        if isinstance(record, EncodedPicture):
            switch = self._switches.get(record.key)
            if switch is not None:
                switch.picture(record, self._clock.now())
        elif isinstance(record, dict) and record.get("type") == "keyframe":
            key = TrackKey(str(record["session"]), str(record["participant"]), Kind.VIDEO)
            self._relay.request_keyframe(key)

    def _worker_up(self) -> None:
        for words in self._words.values():
            self.worker.send(words)

    def _worker_down(self, reason: str) -> None:
        """The switches notice that pictures stop and show the source: the banner is off the screens."""
        del reason
        for (_, recipient), alert in list(self._shown.items()):
            self._lost(alert, recipient)

    async def _keep_going(self) -> None:
        """Drive switches and announcements while there are any."""
        while True:
            await self._work.wait()
            now = self._clock.now()
            for switch in list(self._switches.values()):
                switch.poll(now)
                if switch.idle:
                    self._end(switch.key)
                else:
                    self._keep_words(switch.key)
            for who, announcement in list(self._playing.items()):
                announcement.poll(now)
                if announcement.done:
                    del self._playing[who]
            if not self._switches and not self._playing:
                self._work.clear()
            await asyncio.sleep(ANNOUNCE_POLL_S if self._playing else BANNER_POLL_S)

    def _end(self, key: TrackKey) -> None:
        del self._switches[key]
        del self._words[key]
        self.worker.send({"type": "banner_stop", "session": key.session, "participant": key.participant})


def banner_key(alert: Alert) -> str:
    """Return the key of the banner's words; in a drill they say that it is one."""
    return f"banner.{'drill_' if alert.drill else ''}{alert.state.value}"
