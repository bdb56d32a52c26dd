"""HTTP: sessions, events, actions, WHIP/WHEP and the call page behind one port; webhooks out."""

from guard.api.app import create_app
from guard.api.services import ApiConfig, Services

__all__ = ["ApiConfig", "Services", "create_app"]
