"""Images by formula: pixels against the formulas in the docstring of `pattern.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.source import SceneView, make_source

MONO, RGB, PREVIEW = (640, 400), (1920, 1080), (300, 200)
VIEW = SceneView(MONO, RGB, PREVIEW, True, "rgb", True, True)
Formula = Callable[[int, int, int], int]


def plain(x: int, y: int, sequence: int) -> int:
    return (x + 2 * y + 3 * sequence) % 256


def shifted(x: int, y: int, sequence: int) -> int:
    return (x + 2 * y + 3 * sequence + 64) % 256


def disparity(x: int, y: int, sequence: int) -> int:
    return 1 + (x + 2 * y + 3 * sequence) % 95


@pytest.mark.parametrize(
    ("stream", "formula"),
    [
        ("left", plain),
        ("rectified_left", plain),
        ("right", shifted),
        ("rectified_right", shifted),
        ("disparity", disparity),
    ],
)
@pytest.mark.parametrize("sequence", [0, 1, 85, 100_000])
def test_mono_pixels_follow_the_formula(stream: str, formula: Formula, sequence: int) -> None:
    source = make_source("pattern", eeprom_document(5))
    source.configure(VIEW)
    image = source.paint(stream, 0.0, sequence)
    assert image.shape == MONO[::-1]
    assert image.dtype == np.uint8
    for x, y in ((0, 0), (1, 0), (0, 1), (639, 0), (0, 399), (639, 399), (123, 321)):
        assert image[y, x] == formula(x, y, sequence), (x, y)


@pytest.mark.parametrize("sequence", [0, 7, 100_000])
def test_color_pixels_follow_the_formula(sequence: int) -> None:
    source = make_source("pattern", eeprom_document(5))
    source.configure(VIEW)
    color, bgr, preview = (
        source.paint(stream, 0.0, sequence) for stream in ("color", "color_bgr", "previewout")
    )
    assert (color.shape, bgr.shape) == ((1620, 1920), (1080, 1920, 3))
    assert preview.shape == (3, 200, 300)
    assert color[1079, 1919] == plain(1919, 1079, sequence)
    assert np.all(color[1080:] == 128)
    for channel in range(3):
        for image, x, y in ((bgr[..., channel], 1919, 1079), (preview[channel], 299, 199)):
            values: NDArray[np.uint8] = image
            assert values[y, x] == (x + 2 * y + 3 * sequence + 64 * channel) % 256


def test_objects_do_not_move() -> None:
    source = make_source("pattern", eeprom_document(5))
    source.configure(VIEW)
    assert source.objects(0.0, 0) == source.objects(9.0, 300)
    (thing,) = source.objects(0.0, 0)
    assert thing.box == (0.25, 0.125, 0.5, 0.75)
