"""A preset is never worse than depth without filters in what it promises: the order, no digits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
sys.path.insert(0, str(BENCH))
from accuracy import PROMISES, Figures, Scene, configurations, is_kept, measure  # noqa: E402

from depthai_ros.config.filters import PRESETS  # noqa: E402

FRAMES, SETTLE = 10, 6


@pytest.fixture(scope="module", params=[1.0, 2.0], ids=lambda metres: f"{metres:g} m")
def found(request: pytest.FixtureRequest) -> dict[str, Figures]:
    """The figures by configuration; half the size, so half the disparity of the benchmark."""
    scene = Scene((640, 360), request.param, FRAMES)
    return {name: measure(scene, row, SETTLE) for name, row in configurations().items()}


def test_every_preset_promises_something() -> None:
    assert PROMISES.keys() == {name for name, values in PRESETS.items() if values}


@pytest.mark.parametrize("preset", PROMISES)
def test_preset_keeps_what_it_promises(found: dict[str, Figures], preset: str) -> None:
    broken = [each for each in PROMISES[preset] if not is_kept(each, found[preset], found["raw"])]
    assert not broken, (found[preset], found["raw"])


def test_each_preset_is_the_best_one_for_its_purpose(found: dict[str, Figures]) -> None:
    presets = {name: found[name] for name in PROMISES}
    assert min(presets, key=lambda name: presets[name].rmse_mm) == "high_accuracy"
    assert max(presets, key=lambda name: presets[name].fill) == "manipulation"
    assert presets["navigation"].false <= 0.5 * found["raw"].false


#: Filter -> the figure that it improves.
PURPOSES = {
    "speckle": "false",
    "spatial": "rmse_mm",
    "temporal": "noise_mm",
    "hole_filling": "fill",
    "decimation": "fill",
}


@pytest.mark.parametrize("name", PURPOSES)
def test_filter_improves_what_it_is_for(found: dict[str, Figures], name: str) -> None:
    ours, raw = (getattr(found[each], PURPOSES[name]) for each in (name, "raw"))
    assert ours > raw if PURPOSES[name] == "fill" else ours < 0.7 * raw
