"""Means over blocks are numpy's own, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from guard.media.blocks import block_means, halved


def test_halved_is_the_mean_over_two_by_two() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (224, 160, 3), np.uint8)
    wanted = picture.reshape(112, 2, 80, 2, 3).mean(axis=(1, 3), dtype=np.float32)
    found = halved(picture)
    assert found.dtype == np.float32
    assert (found == wanted).all()


@pytest.mark.parametrize(("tall", "wide"), [(1, 1), (20, 20), (3, 7), (257, 2), (258, 2), (300, 3)])
def test_block_means_are_exact_also_of_a_white_picture(tall: int, wide: int) -> None:
    rng = np.random.default_rng(2)
    for picture in (
        rng.integers(0, 256, (4 * tall, 5 * wide, 3), np.uint8),
        np.full((4 * tall, 5 * wide, 3), 255, np.uint8),
    ):
        plane = picture[..., 1]  # as callers have it: every third byte
        wanted = plane.reshape(4, tall, 5, wide).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
        assert (block_means(plane, tall, wide) == wanted).all()
