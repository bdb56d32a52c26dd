"""Audio and video files to frames in time order, without trusting the file.

Only containers on a list are opened, so that a file cannot send the reader to other
files or addresses (playlists do). Each stream is read through its own handle: the two
are merged by time without holding more than one frame of each, however the file
interleaves them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from guard.codec.audio import DECODE_ERRORS, finite, mono
from guard.codec.video import MAX_PIXELS, rgb
from guard.errors import MediaError
from guard.media.timeline import Thinner
from guard.types import AudioFrame, Kind, TrackKey, VideoFrame

AUDIO_EXTENSIONS = frozenset(
    {".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp2", ".mp3", ".oga"}
    | {".ogg", ".opus", ".w64", ".wav", ".wma"}
)
VIDEO_EXTENSIONS = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv"}
    | {".ts", ".webm", ".wmv"}
)
MEDIA_EXTENSIONS = AUDIO_EXTENSIONS | VIDEO_EXTENSIONS

FORMATS = "aac,aiff,amr,asf,au,avi,caf,flac,flv,ivf,matroska,webm,mov,mp4,mp3,mpeg,mpegts,ogg,w64,wav,wv"
# where the container's times and the counted samples differ by more, there is a gap
_MAX_CLOCK_ERROR_S = 0.1
# a header may promise this much more than is found before the file counts as cut off
_MAX_SHORTFALL_S = 0.5


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a file claims to hold; ``duration_s`` is 0 where not even a scan tells."""

    duration_s: float
    has_audio: bool
    has_video: bool


def probe(path: Path) -> FileInfo:
    """Look at a file without decoding it.

    Raises:
        MediaError: ``file_not_found``, ``file_unreadable``, ``file_no_media``.
    """
    with _opened(path) as container:
        audio, video = _stream(container, Kind.AUDIO), _stream(container, Kind.VIDEO)
        if audio is None and video is None:
            raise MediaError("file_no_media", f"{path} holds no audio or video that can be decoded")
        duration_s = (container.duration or 0) / av.time_base
        if duration_s <= 0:
            duration_s = _scanned_s(container)
        return FileInfo(duration_s, audio is not None, video is not None)


def read_file(path: Path, session: str = "file", *, max_fps: float | None = 15.0) -> FileReader:
    """Open a file and return its frames in time order.

    Args:
        path: any file with one of MEDIA_EXTENSIONS, or another that av recognises as one.
        session: names the tracks; the participant is called ``file``.
        max_fps: pictures a second to give out; None gives all.

    Raises:
        MediaError: ``file_not_found``, ``file_unreadable``, ``file_no_media``.
    """
    return FileReader(path, session, max_fps)


class FileReader:
    """Iterates over a file's frames; the first audio and the first video stream count.

    Reading may raise MediaError ``file_unreadable`` where nothing at all can be decoded.
    A file that breaks later ends early, with ``damaged`` set. ``mended`` says that samples which are
    no numbers were replaced.

    Args:
        path: the file.
        session: names the tracks.
        max_fps: pictures a second to give out; None gives all.
    """

    def __init__(self, path: Path, session: str, max_fps: float | None) -> None:
        self.info = probe(path)
        self.damaged = False
        self.mended = False
        self.end_s = 0.0
        self._path = path
        self._session = session
        self._max_fps = max_fps
        self._frames = self._checked()

    def __iter__(self) -> Iterator[AudioFrame | VideoFrame]:
        return self

    def __next__(self) -> AudioFrame | VideoFrame:
        return next(self._frames)

    def _checked(self) -> Iterator[AudioFrame | VideoFrame]:
        parts: list[Iterator[AudioFrame | VideoFrame]] = []
        if self.info.has_audio:
            parts.append(self._audio())
        if self.info.has_video:
            parts.append(self._video())
        found = False
        for frame in heapq.merge(*parts, key=lambda frame: frame.time_s):
            found = True
            yield frame
        if not found:
            raise MediaError("file_unreadable", f"{self._path}: nothing in it can be decoded; is it cut off?")
        if self.end_s < self.info.duration_s - max(_MAX_SHORTFALL_S, 0.02 * self.info.duration_s):
            self.damaged = True

    def _audio(self) -> Iterator[AudioFrame]:
        key = TrackKey(self._session, "file", Kind.AUDIO)
        end_s: float | None = None
        shift_s = 0.0
        for frame, stamp_s in self._decoded(Kind.AUDIO):
            assert isinstance(frame, av.AudioFrame)
            try:
                samples = mono(frame)
            except MediaError:
                self.damaged = True
                continue
            self.mended = self.mended or not finite(frame)
            # Containers round times, so samples are counted; a larger step forward is a
            # gap. A step backward is an edit in the file: times go on behind a small gap.
            if end_s is None:
                end_s = stamp_s
            step_s = stamp_s + shift_s - end_s
            if step_s < -_MAX_CLOCK_ERROR_S:
                shift_s += _MAX_CLOCK_ERROR_S - step_s
                end_s += _MAX_CLOCK_ERROR_S
            elif step_s > _MAX_CLOCK_ERROR_S:
                end_s += step_s
            yield AudioFrame(key, end_s, samples, frame.sample_rate)
            end_s += len(samples) / frame.sample_rate
            self.end_s = max(self.end_s, end_s)

    def _video(self) -> Iterator[VideoFrame]:
        key = TrackKey(self._session, "file", Kind.VIDEO)
        thinner = Thinner(self._max_fps)
        last_s, before_s = -1.0, 0.0
        for picture, time_s in self._decoded(Kind.VIDEO):
            assert isinstance(picture, av.VideoFrame)
            # a picture lasts until the next one: count the last one like the one before it
            self.end_s = max(self.end_s, 2 * time_s - before_s)
            before_s = time_s
            if picture.is_corrupt:
                self.damaged = True
            elif time_s > last_s and thinner.keep(time_s):
                try:
                    image = rgb(picture)
                except MediaError:
                    self.damaged = True
                    continue
                last_s = time_s
                yield VideoFrame(key, time_s, image, thinner.skipped_s())

    def _decoded(self, kind: Kind) -> Iterator[tuple[av.AudioFrame | av.VideoFrame, float]]:
        """Yield decoded frames of one kind with their time from the start of the file."""
        with _opened(self._path) as container:
            stream = _stream(container, kind)
            if stream is None:
                self.damaged = True
                return
            start_s = _start_s(container)
            time_s = 0.0
            for packet in self._packets(container, stream):
                try:
                    frames = stream.decode(packet)
                except DECODE_ERRORS:
                    self.damaged = True
                    continue
                for frame in frames:
                    if frame.time is not None:
                        time_s = max(0.0, frame.time - start_s)
                    yield frame, time_s

    def _packets(
        self, container: InputContainer, stream: av.AudioStream | av.VideoStream
    ) -> Iterator[Packet[Stream] | None]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except DECODE_ERRORS:
                self.damaged = True
                yield None  # what the decoder still holds
                return
            if packet.is_corrupt:
                self.damaged = True
            yield packet


def _opened(path: Path) -> InputContainer:
    try:
        if not path.exists():
            raise MediaError("file_not_found", f"{path} does not exist")
        if not path.is_file():
            raise MediaError("file_unreadable", f"{path} is not a regular file")
        # An absolute path cannot be read as a protocol. Texts in the file may be in any encoding.
        return av.open(
            str(path.resolve()),
            metadata_errors="replace",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
        )
    except (
        *DECODE_ERRORS,
        RuntimeError,
    ) as error:  # also a name too long, a folder closed to us, a link to itself
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError("file_unreadable", f"{path} cannot be read as audio or video: {reason}") from error


def _stream(container: InputContainer, kind: Kind) -> av.AudioStream | av.VideoStream | None:
    """Return the first stream of the kind that has a decoder; cover pictures do not count."""
    streams = container.streams.audio if kind is Kind.AUDIO else container.streams.video
    for stream in streams:
        still = stream.disposition & (Disposition.attached_pic | Disposition.still_image)
        if stream.codec_context is None or still:
            continue
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        return stream
    return None


def _start_s(container: InputContainer) -> float:
    """Return the time at which the earliest stream starts; both kinds are counted from it."""
    starts = []
    for kind in Kind:
        stream = _stream(container, kind)
        if stream is not None and stream.start_time is not None and stream.time_base is not None:
            starts.append(float(stream.start_time * stream.time_base))
    return min(starts, default=0.0)


def _scanned_s(container: InputContainer) -> float:
    """Return the duration from the packets, for files whose header does not say it."""
    first_s, end_s = float("inf"), 0.0
    try:
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            time_s = float(packet.pts * packet.time_base)
            first_s = min(first_s, time_s)
            end_s = max(end_s, time_s + float((packet.duration or 0) * packet.time_base))
    except DECODE_ERRORS:
        pass  # up to here it can be read; reading it will tell that it is damaged
    return max(0.0, end_s - first_s) if end_s else 0.0
