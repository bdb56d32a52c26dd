"""guard: a self-hosted WebRTC relay that warns of synthetic voices and faces."""

__version__ = "0.1.0"
