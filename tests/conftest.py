"""Settings of every test: in CI hypothesis draws the same examples each time and is not timed."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("guard-ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("guard", deadline=None)
settings.load_profile("guard-ci" if os.environ.get("CI") else "guard")
