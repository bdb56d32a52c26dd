"""Describes the voice in a recording, or the face in a photo: bytes in, a vector out (analysis process).

Neither is held longer than it takes to describe it, and nothing is written or logged. Who has which vector:
``guard.app.enrolment``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from guard.codec.voice import read_voice
from guard.detectors.face_identity import FaceIdentity
from guard.detectors.person_memory import mean_vector
from guard.detectors.speaker import Speaker
from guard.errors import MediaError
from guard.inference.content import content_reasons
from guard.inference.lanes import run_detector
from guard.media.photo import read_photo
from guard.types import (
    Abstain,
    AudioFrame,
    AudioWindow,
    Detector,
    FaceWindow,
    FloatArray,
    Kind,
    TrackKey,
    VideoFrame,
)
from guard.windows.audio import AudioWindows
from guard.windows.face_models import FaceModels
from guard.windows.faces import FaceWindowConfig, FaceWindows

_RECORDING = TrackKey("voice", "voice", Kind.AUDIO)
MIN_SPEECH_S = 5.0
# 1 - cosine between the means of the two groups of windows that differ most; chosen on recordings of one
# person and of two after each other, all of training: docs/voice-companions.md, "Enrolling a voice"
MAX_PARTED = 0.55
# on each side: one window that differs is a cough or another room, and no second person
_MIN_PART_WINDOWS = 2
# more of a recording is not read: it would describe the voice no better
MAX_RECORDING_S = 60.0


def describe_voice(content: bytes, speaker: Speaker, tells: Detector | None) -> FloatArray:
    """Return the vector, float32 (D,) of length 1, of the one person who speaks in a recording.

    Args:
        content: the bytes of an audio file.
        speaker: describes the voice.
        tells: hears music, noise and several people at once (``guard.inference.content.telling``), in which
            nobody's voice is described; None where no model in use does.

    Raises:
        MediaError: ``voice_unreadable``; ``voice_too_short``: less than 5 s of clear speech of one voice;
            ``voice_several``: part of the windows are of another voice than the rest.
        ModelError: the model failed.
    """
    vectors, speech_s, heard = clear_voice(read_voice(content, max_s=MAX_RECORDING_S), speaker, tells)
    if speech_s < MIN_SPEECH_S:
        raise _too_short(speech_s, heard)
    if parted(vectors) > MAX_PARTED:
        raise MediaError(
            "voice_several",
            "two different voices are heard one after the other, and either would match; "
            "send a recording of this person alone",
        )
    return mean_vector(vectors)


def clear_voice(
    frames: Iterable[AudioFrame], speaker: Speaker, tells: Detector | None
) -> tuple[list[FloatArray], float, Counter[str]]:
    """Describe the windows of a recording in which one voice is heard clearly.

    Args:
        frames: of the recording, in order.
        speaker: describes the voice; it remembers nothing of it afterwards.
        tells: as for ``describe_voice``.

    Returns:
        The vectors, float32 (D,) of length 1 each; the seconds of speech in those windows; and how many
        windows were left out, by what else was heard in them.

    Raises:
        ModelError: the model failed.
    """
    cut = AudioWindows(_RECORDING)
    items = [item for frame in frames for item in cut.push(frame)] + cut.flush()
    vectors: list[FloatArray] = []
    speech_s, until_s, heard = 0.0, 0.0, Counter[str]()
    for window in (item for item in items if isinstance(item, AudioWindow)):
        row = speaker.voices.prepare(window)
        if isinstance(row, Abstain):
            continue
        reason = _other_than_one_voice(window, tells)
        if reason is not None:
            heard[reason] += 1
            continue
        vectors += speaker.voices.describe(row[None], [window])
        speech_s += window.quality.speech_ratio * (window.end_s - max(window.start_s, until_s))
        until_s = window.end_s
    speaker.voices.forget(_RECORDING.session, _RECORDING.participant)
    return vectors, speech_s, heard


def parted(vectors: Sequence[FloatArray]) -> float:
    """Return how far the voices of a recording lie apart: 0 one voice throughout, 1 nothing in common.

    The vectors are parted along the direction in which they differ most (their first principal component),
    and the means of the two parts compared; so it does not matter who spoke when.

    Args:
        vectors: of the recording's windows, float32 (D,) of length 1 each.

    Returns:
        1 - cosine of the two means; 0 where a part has fewer than two windows.
    """
    rows = np.stack(vectors).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    first = centred @ direction > 0
    if min(first.sum(), (~first).sum()) < _MIN_PART_WINDOWS:
        return 0.0
    return 1.0 - float(mean_vector(list(rows[first])) @ mean_vector(list(rows[~first])))


def _other_than_one_voice(window: AudioWindow, tells: Detector | None) -> str | None:
    """Return what else than one voice is heard in a window; None: nothing, or nobody could tell."""
    if tells is None:
        return None
    (score,) = run_detector(tells, [window])
    return score.reason if score.reason in content_reasons(tells) else None


def _too_short(speech_s: float, heard: Counter[str]) -> MediaError:
    also = f" beside {', '.join(sorted(heard))}" if heard else ""
    return MediaError(
        "voice_too_short",
        f"{speech_s:.1f} s of clear speech of one voice were found{also}, {MIN_SPEECH_S:.0f} s are needed; "
        "send a longer or cleaner recording of this person alone",
    )


_WHY_POOR = {
    "face_too_small": "the face is too small",
    "face_dark": "the face is too dark",
    "face_turned": "the head is turned away",
    "face_blurred": "the face is blurred",
    "face_unclear": "it is not clear that this is an upright face",
    "face_hidden": "the mouth or an eye is hidden",
    "face_cut_off": "part of the face lies outside the picture",
}


def describe_photo(content: bytes, detector: FaceIdentity, models: FaceModels) -> FloatArray:
    """Return the vector, float32 (D,) of length 1, of the one face in a photo.

    Args:
        content: the bytes of a JPEG, PNG or WebP file.
        detector: describes the face, and refuses what it would not compare in a call either.
        models: find it; not those of a call that is running in another thread.

    Raises:
        MediaError: ``photo_unreadable``, ``photo_too_large``, ``photo_no_face``, ``photo_several_faces``, or
            ``photo_poor``: the face is too small, dark, blurred, turned, hidden in part or cut off.
        ModelError: a model failed.
    """
    frame = VideoFrame(TrackKey("photo", "photo", Kind.VIDEO), 0.0, read_photo(content))
    found = [
        item
        for item in FaceWindows(frame.key, FaceWindowConfig(), models).push(frame)
        if isinstance(item, FaceWindow) or item.face is not None
    ]
    if len(found) != 1:
        raise _not_one_face(len(found))
    row = detector.prepare(found[0]) if isinstance(found[0], FaceWindow) else Abstain(found[0].reason)
    if isinstance(row, Abstain):
        why = _WHY_POOR.get(row.reason, row.reason)
        raise MediaError("photo_poor", f"{why}; send a sharp photo of this person looking at the camera")
    (vector,) = detector.describe(row[None])
    return np.asarray(vector, np.float32)


def _not_one_face(count: int) -> MediaError:
    if count:
        text = f"{count} faces were found, one is needed; cut out the person who should be in the call"
        return MediaError("photo_several_faces", text)
    return MediaError("photo_no_face", "no face was found; send a photo of this person looking at the camera")
