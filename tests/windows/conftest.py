from __future__ import annotations

import pytest

from guard.resources import models_dir
from guard.windows.face_models import FaceModels, load_face_models


@pytest.fixture(scope="session")
def face_models() -> FaceModels:
    return load_face_models(models_dir())
