"""The voice or face that the files of ``guard analyze`` are compared with."""

from __future__ import annotations

import sys
from pathlib import Path

from guard.app.describe import describe_photo, describe_voice
from guard.app.parts import Models
from guard.detectors.face_identity import FaceIdentity
from guard.errors import MediaError
from guard.inference.content import telling
from guard.types import FloatArray, Signal
from guard.windows.face_models import FaceModels

# as whom a file is analysed
SESSION, PARTICIPANT = "file", "file"
# of a recording or a photo to compare with
MAX_REFERENCE_BYTES = 5 * 1024 * 1024


def expect_voice(path: Path, models: Models) -> None:
    """Compare every file that follows with the voice in this one.

    Raises:
        MediaError: ``file_not_found``, ``voice_too_large``, ``voice_unreadable``, ``voice_too_short`` or
            ``voice_several``.
        ModelError: the speaker model is not in use, or failed.
    """
    if models.speaker is None:
        raise models.errors[Signal.VOICE_MATCH]
    content = _reference(path, "voice_too_large", "cut it")
    tells = telling(models.detectors)
    if tells is None:
        sys.stderr.write(f"{path}: taken for one voice alone: no model in use can tell\n")
    try:
        vector = describe_voice(content, models.speaker, tells)
    except MediaError as error:
        raise MediaError(error.code, f"{path}: {error.message}") from error
    models.speaker.match.enrol(SESSION, PARTICIPANT, vector)


def expect_face(path: Path, models: Models) -> None:
    """Compare every face in the files that follow with the one in this photo.

    Raises:
        MediaError: ``file_not_found``, or one of ``describe_photo``.
        ModelError: the face identity model is not in use, or failed.
    """
    if models.identity is None:
        raise models.errors[Signal.FACE_IDENTITY]
    vector = face_in(path, models.identity.detector, models.faces)
    models.identity.detector.enrol(SESSION, PARTICIPANT, vector)


def face_in(path: Path, detector: FaceIdentity, faces: FaceModels) -> FloatArray:
    """Return the vector, float32 (D,) of length 1, of the one face in the photo at ``path``.

    Raises:
        MediaError: ``file_not_found``, or one of ``describe_photo``.
        ModelError: a model failed.
    """
    content = _reference(path, "photo_too_large", "send a smaller one")
    try:
        return describe_photo(content, detector, faces)
    except MediaError as error:
        raise MediaError(error.code, f"{path}: {error.message}") from error


def _reference(path: Path, too_large: str, advice: str) -> bytes:
    """Return the bytes of a file to compare with.

    Raises:
        MediaError: ``file_not_found`` or the code ``too_large``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_REFERENCE_BYTES + 1)  # a pipe or a device tells no size and may not end
    except OSError as error:
        raise MediaError("file_not_found", f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_REFERENCE_BYTES:
        raise MediaError(too_large, f"{path} has more than {MAX_REFERENCE_BYTES} bytes; {advice}")
    return content
