"""The quality a face must have before a detector looks at it."""

from __future__ import annotations

from dataclasses import dataclass

from guard.types import FaceQuality


@dataclass(frozen=True, slots=True)
class FaceLimits:
    """The quality below which a face is not scored; each detector states its own. See docs/reasons.md.

    Args:
        min_eye_distance_px: between the middles of the eyes, in the picture.
        min_sharpness: share of fine detail in the face, in percent.
        max_yaw_deg: turn of the head to either side.
        min_luma: mean brightness of the face, of 255.
    """

    min_eye_distance_px: float = 32.0
    min_sharpness: float = 5.0
    max_yaw_deg: float = 35.0
    min_luma: float = 30.0

    def __post_init__(self) -> None:
        if min(self.min_eye_distance_px, self.min_sharpness, self.min_luma) < 0:
            raise ValueError("min_eye_distance_px, min_sharpness and min_luma must not be negative")
        if not 0 < self.max_yaw_deg <= 90:
            raise ValueError("max_yaw_deg must be above 0 and at most 90")

    def reason_against(self, quality: FaceQuality) -> str | None:
        """Return why a face of this quality is not scored, or None."""
        if quality.eye_distance_px < self.min_eye_distance_px:
            return "face_too_small"
        if quality.luma < self.min_luma:
            return "face_dark"
        if abs(quality.yaw_deg) > self.max_yaw_deg:
            return "face_turned"
        if quality.sharpness < self.min_sharpness:
            return "face_blurred"
        return None
