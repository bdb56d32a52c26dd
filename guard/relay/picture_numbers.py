"""VP8 picture numbers across a change of source."""

from __future__ import annotations

from guard.errors import PeerError
from guard.media import vp8


class Vp8Numbers:
    """Keeps picture id and TL0PICIDX continuous when the source changes (RFC 7741 section 4.2).

    Nothing is parsed until the first change: until then the numbers are the source's own.
    """

    def __init__(self) -> None:
        self._last: bytes | None = None
        self._switching = False
        self._picture_shift = 0
        self._tl0_shift = 0

    def switch(self) -> None:
        """The next payload comes from another source."""
        self._switching = self._last is not None

    def rewrite(self, payload: bytes, newest: bool) -> bytes:
        """Return the payload with continuous numbers; what does not parse goes out as it is."""
        try:
            if self._switching:
                self._line_up(payload)
            if self._picture_shift or self._tl0_shift:
                payload = self._shifted(payload)
        except PeerError:
            return payload
        if newest:
            self._last = payload
        return payload

    def _line_up(self, payload: bytes) -> None:
        assert self._last is not None
        last, first = vp8.parse_descriptor(self._last), vp8.parse_descriptor(payload)
        self._switching = False
        if last.picture_id is not None and first.picture_id is not None:
            self._picture_shift = last.picture_id + 1 - first.picture_id
        if last.tl0_index is not None and first.tl0_index is not None:
            self._tl0_shift = last.tl0_index + 1 - first.tl0_index

    def _shifted(self, payload: bytes) -> bytes:
        found = vp8.parse_descriptor(payload)
        return vp8.rewrite_numbers(
            payload,
            picture_id=None if found.picture_id is None else found.picture_id + self._picture_shift,
            tl0_index=None if found.tl0_index is None else found.tl0_index + self._tl0_shift,
        )
