"""The media plane: RTP forwarding, peers, the tap and injection; the only place that knows aiortc."""
