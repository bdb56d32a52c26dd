"""Drills: the profile and the words of a training call, told and escalated like the real ones."""

from __future__ import annotations

from guard.policy.profile import Profile
from guard.policy.texts import Texts


def for_drill(profile: Profile) -> Profile:
    """Return the profile of a drill: the same without announcements, which cannot say that it is one."""
    means = {
        state: given.model_copy(update={"announcement": False}) for state, given in profile.means.items()
    }
    return profile.model_copy(update={"means": means})


def labelled(words: dict[str, str], texts: Texts) -> dict[str, str]:
    """Return words that say first, in each language, that this is a drill."""
    return {language: f"{texts.get('drill.prefix', language)} {text}" for language, text in words.items()}
