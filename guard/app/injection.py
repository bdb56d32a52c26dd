"""Banner and announcement: which suspect is shown with a banner, to whom, and who makes it."""

from __future__ import annotations

from collections.abc import Callable

from guard.types import Alert
from guard.workers.supervisor import Worker


class Injection:
    """Starts and stops banners and announcements on the relay's outputs."""

    def __init__(self, failed: Callable[[str, str], None]) -> None:
        self._failed = failed
        self.workers: list[Worker] = []

    async def start(self) -> None:
        """Start what must be warm."""

    async def stop(self) -> None:
        """End every injection."""

    def start_banner(self, alert: Alert, recipient: str) -> None:
        """Show the banner over the suspect's picture to one recipient."""
        self._failed("banner", "not_available")

    def stop_banner(self, alert: Alert, recipient: str) -> None:
        """Take it away again."""

    def start_announcement(self, alert: Alert, recipient: str) -> None:
        """Play the announcement once to one recipient in place of the suspect's voice."""
        self._failed("announcement", "not_available")

    def stop_announcement(self, alert: Alert, recipient: str) -> None:
        """Stop it where it still plays."""
