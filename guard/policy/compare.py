"""How two profiles differ, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guard.policy.profile import Profile

ABSENT = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One key with its value in either profile; None where a profile does not have it.

    Steps of the playbook stand under their name, not their number: ``playbook.steps.hold.limit_s``.
    """

    key: str
    left: Any
    right: Any


def differences(left: Profile, right: Profile) -> list[Difference]:
    """Return the keys in which two profiles differ, in the order of the first one's keys.

    What a profile leaves out is compared with its default. Names and descriptions count.
    """
    ours, theirs = dict(_flat(_table(left))), dict(_flat(_table(right)))
    keys = [*ours, *(key for key in theirs if key not in ours)]
    found = [Difference(key, ours.get(key, ABSENT), theirs.get(key, ABSENT)) for key in keys]
    return [difference for difference in found if difference.left != difference.right]


def _table(profile: Profile) -> dict[str, Any]:
    table = profile.model_dump(mode="json")
    table["playbook"]["steps"] = {step.pop("step"): step for step in table["playbook"]["steps"]}
    return table


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
