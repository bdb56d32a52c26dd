"""What the faces of a folder are, under which licence and for what: the words that every card takes.

``face/real_train/about.toml`` says it, written by whoever may use the faces:

    name = "Portraits of our staff, 2026"
    licence = "consent of each person to the training of fraud detectors"
    purpose = "Internal use by Example Bank"   # what the models may be used for
    persons = 812                              # may be left out

Without it the cards say that nobody stated it, or, where the pictures bear UTKFace's names, what that allows.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from data import data_folder, names_of

FILE = "about.toml"
# age_sex_origin_date, as UTKFace names its pictures; some of its names lack one of them
_UTKFACE = re.compile(r"\d{1,3}_[01]_(\d_)?\d{15,18} ?\.?jpg\.chip\.jpg")
_KEYS = {"name": str, "licence": str, "purpose": str, "persons": int}


@dataclass(frozen=True)
class About:
    """The faces in words; ``faces`` is their number, ``persons`` None where nobody counted them."""

    name: str
    licence: str
    purpose: str
    faces: int
    persons: int | None = None

    def card_licence(self, goal: str) -> str:
        """Return a card's line ``licence``; ``goal`` is the target of make that trains on other faces."""
        command = f"GUARD_DATA=FOLDER make -C models/face {goal}".strip()
        trained = f"{self.purpose}: trained on {self.name}, {self.licence}"
        return f"{trained}. On other faces with one command: {command}"

    @property
    def card_faces(self) -> str:
        """A card's words for the faces: which, how many, how they were split."""
        of = f" of {self.persons} persons" if self.persons else ""
        return f"{self.name} ({self.licence}): {self.faces} faces{of}, 7 of 8 by a hash of the file name"


def about() -> About:
    """Return what the faces of ``GUARD_DATA`` are.

    Raises:
        SystemExit: about.toml is wrong, or UTKFace's pictures lie among others and nothing says so.
    """
    folder, names = data_folder(), names_of(data_folder())
    theirs = sum(_UTKFACE.fullmatch(name) is not None for name in names)
    if (folder / FILE).is_file():
        return _stated(folder / FILE, len(names), theirs)
    if 0 < theirs < len(names):
        sys.exit(
            f"{theirs} of the {len(names)} faces of {folder} bear names of UTKFace, the others do not: write "
            f"{folder / FILE} (name, licence, purpose; recipe/about.py), so that the cards say what they are"
        )
    if theirs:
        return _stated(Path(__file__).with_name("utkface.toml"), len(names), 0)
    inside = "/".join(folder.parts[-3:])
    return About(f"faces of {inside}", "licence not stated by who trained it", "Use not stated", len(names))


def _stated(path: Path, faces: int, theirs: int) -> About:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        sys.exit(f"{path} cannot be read ({error}): correct it, recipe/about.py shows its form")
    wrong = [key for key, value in table.items() if type(value) is not _KEYS.get(key)]
    absent = [key for key in ("name", "licence", "purpose") if not table.get(key)]
    if wrong or absent or table.get("persons", 1) < 1:
        named = ", ".join(wrong + absent) or "persons"
        sys.exit(
            f"{path}: {named} is missing, unknown or of the wrong kind; it takes name, licence and purpose "
            "(texts) and persons (a number above 0, may be left out)"
        )
    licence = table["licence"].strip()
    if theirs:
        licence += f"; {theirs} of the pictures bear names of UTKFace, which is for non-commercial research"
    return About(table["name"].strip(), licence, table["purpose"].strip(), faces, table.get("persons"))


def toml_text(text: str) -> str:
    """Return ``text`` as a TOML string, quotes included."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def write_licence(folder: Path, text: str) -> None:
    """Write the file LICENSE beside a model: what its card says of its licence."""
    (folder / "LICENSE").write_text(f"{text}\n", encoding="utf-8")
