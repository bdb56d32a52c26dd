from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.media.banner import MAX_BAND_RATIO, SMALLEST_LETTERS_PX, Banner, BannerText, rgb_to_yuv420
from guard.media.lettering import missing_letters, render_line, text_width_px, wrap
from guard.types import ImageArray, State

TEXTS = {
    "kk": BannerText(
        "Назар аударыңыз: дауыс немесе бет жасанды болуы мүмкін", "Әңгімені тоқтатып, қайта қоңырау шалыңыз."
    ),
    "ru": BannerText(
        "Внимание: голос или лицо могут быть подделаны",
        "Прервите разговор и перезвоните по известному номеру.",
    ),
    "en": BannerText("Warning: voice or face may be fake", "Hold the call and call back on a known number."),
}
SIZES = [(320, 180), (640, 360), (1280, 720), (360, 640), (176, 144)]


def noise(height: int, width: int) -> ImageArray:
    return np.random.default_rng(7).integers(60, 200, (height, width, 3), dtype=np.uint8)


def luminance(colour: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour / 255]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_kazakh_and_russian_letter_has_its_own_shape() -> None:
    letters = "ӘәҒғҚқҢңӨөҰұҮүҺһІі" + "".join(map(chr, range(0x410, 0x450))) + "Ёё"
    assert not missing_letters(letters)
    shapes = {render_line(letter, 40).tobytes() for letter in letters}
    # І and І-like letters differ from all others; no two of these letters share a drawing
    assert len(shapes) == len(letters)
    assert missing_letters("漢a") == {"漢"}


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_whole_text_fits_with_readable_letters(language: str, width: int, height: int) -> None:
    banner = Banner(TEXTS[language], width, height)
    assert banner.letters_px >= SMALLEST_LETTERS_PX
    assert banner.band_height <= height * MAX_BAND_RATIO
    if (width, height) != (176, 144):
        assert banner.letters_px >= 12


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_above_the_band_stays_and_the_band_is_readable(width: int, height: int) -> None:
    banner = Banner(TEXTS["kk"], width, height)
    before = noise(height, width)
    after = before.copy()
    banner.draw_rgb(after)
    top = height - banner.band_height
    assert np.array_equal(after[8:top, 8:-8], before[8:top, 8:-8])
    words = after[top + 12 : -8, width // 4 : -8].reshape(-1, 3)
    bright = words[words.sum(axis=1).argmax()]
    ground = np.median(words, axis=0).astype(np.uint8)
    contrast = (luminance(bright) + 0.05) / (luminance(ground) + 0.05)
    assert contrast > 12
    ink = (words.min(axis=1) > 180).mean()
    assert 0.03 < ink < 0.4


def test_grey_picture_still_tells_icon_and_words() -> None:
    """Without any colour the triangle must stand out from the band."""
    picture = np.zeros((360, 640, 3), np.uint8)
    banner = Banner(TEXTS["en"], 640, 360)
    banner.draw_rgb(picture)
    grey = picture.mean(axis=2)
    left = grey[360 - banner.band_height + 12 : 350, 12:90]
    assert left.max() - np.median(left) > 50


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_both_drawings_show_the_same(width: int, height: int) -> None:
    banner = Banner(TEXTS["ru"], width, height)
    rgb = noise(height, width)
    yuv = rgb_to_yuv420(rgb)
    banner.draw_rgb(rgb)
    banner.draw_yuv420(yuv)
    expected = rgb_to_yuv420(rgb).astype(int)
    assert np.abs(yuv[:height].astype(int) - expected[:height]).max() <= 2
    assert np.abs(yuv.astype(int) - expected).mean() < 0.5


def test_known_colours_convert() -> None:
    for colour, wanted in (
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
    ):
        image = np.broadcast_to(np.array(colour, np.uint8), (2, 2, 3))
        yuv = rgb_to_yuv420(image)
        assert (yuv[0, 0], yuv[2, 0], yuv[2, 1]) == wanted


def test_suspect_and_spoof_look_different() -> None:
    pictures = []
    for state in (State.SUSPECT, State.SPOOF):
        picture = np.zeros((180, 320, 3), np.uint8)
        Banner(BannerText("Warning", "", state), 320, 180).draw_rgb(picture)
        pictures.append(picture)
    assert not np.array_equal(pictures[0], pictures[1])


def test_text_without_end_is_cut_and_stays_in_its_band() -> None:
    banner = Banner(BannerText("Warning " * 60, "advice " * 200), 320, 180)
    assert banner.band_height <= 180 * MAX_BAND_RATIO
    banner.draw_rgb(noise(180, 320))


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=80), st.text(max_size=200), st.integers(32, 200), st.integers(32, 200))
def test_any_text_on_any_size_draws(title: str, advice: str, half_width: int, half_height: int) -> None:
    if not title.strip():
        return
    width, height = half_width * 2, half_height * 2
    picture = np.zeros((height * 3 // 2, width), np.uint8)
    Banner(BannerText(title, advice), width, height).draw_yuv420(picture)
    assert picture.any()


@given(st.text(alphabet="абвқңәABC ", max_size=80), st.integers(8, 50), st.integers(60, 400))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, size: int, width: int) -> None:
    lines = wrap(text, size, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(text_width_px(line, size) <= width for line in lines)


def test_wrong_banners_are_refused() -> None:
    with pytest.raises(ValueError, match="title"):
        BannerText(" ", "x")
    with pytest.raises(ValueError, match="bona_fide"):
        BannerText("x", "", State.BONA_FIDE)
    with pytest.raises(ValueError, match="33x64"):
        Banner(TEXTS["en"], 33, 64)
    with pytest.raises(ValueError, match="shape"):
        Banner(TEXTS["en"], 320, 180).draw_rgb(noise(64, 64))
