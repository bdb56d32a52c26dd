"""When an alert is repeated, escalated and given up."""

from __future__ import annotations

from dataclasses import dataclass

from guard.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """The timetable of an alert, seconds from the decision.

    Args:
        repeat_s: the data-channel message is sent again this often until acknowledged.
        banner_s: the burnt-in banner starts for whoever has not acknowledged.
        announce_s: the spoken announcement starts for them.
        alarm_s: the console alarm starts if nobody has acknowledged.
        ttl_s: the alert expires; a state that goes on unanswered is told again.
        gap_s: at most one alert per person in this time.
    """

    repeat_s: float = 2.0
    banner_s: float = 5.0
    announce_s: float = 8.0
    alarm_s: float = 10.0
    ttl_s: float = 120.0
    gap_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.repeat_s <= self.banner_s <= self.announce_s <= self.alarm_s < self.ttl_s:
            raise ConfigError(
                "config_value",
                "alerts: needs 0 < repeat_s <= banner_s <= announce_s <= alarm_s < ttl_s; correct the order",
            )
        if not 0 < self.gap_s <= self.ttl_s:
            raise ConfigError("config_value", "alerts.gap_s: needs 0 < gap_s <= ttl_s; correct it")
