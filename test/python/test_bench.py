"""The table of `make bench` shows improvements, regressions and missed goals."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
from results import Comparison, shown  # noqa: E402  # benchmarks are programs, not a package


def load(name: str) -> Any:
    loader = SourceFileLoader(f"bench_{name}", str(BENCH / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


RUN = load("run")


def comparison(*ratios: float, more_is_better: bool = False, goal: float | None = None) -> Any:
    ours = [ratio * 2.0 for ratio in ratios]
    others = [2.0] * len(ratios)
    return Comparison("any", ours, others, "copy", "ms", goal, more_is_better).row()


def test_row_has_medians_and_spreads_of_neighbouring_repetitions() -> None:
    row = Comparison("any", [1.0, 9.0, 4.0], [2.0, 3.0, 4.0], "copy", "ms").row()
    assert (row["ours"], row["ours_spread"]) == (4.0, [1.0, 9.0])
    assert (row["other"], row["other_spread"]) == (3.0, [2.0, 4.0])
    assert (row["ratio"], row["ratio_spread"], row["repetitions"]) == (1.0, [0.5, 3.0], 3)


#: ratios now, before, is more better, verdict
CHANGES = [
    ((0.2, 0.21, 0.22), (0.2, 0.21, 0.22), False, "same"),
    ((0.3, 0.31, 0.32), (0.2, 0.21, 0.22), False, "WORSE"),
    ((0.3, 0.31, 0.32), (0.2, 0.21, 0.22), True, "better"),
    ((0.1, 0.11, 0.12), (0.2, 0.21, 0.22), True, "WORSE"),
    ((0.1, 0.11, 0.12), (0.2, 0.21, 0.22), False, "better"),
    ((0.2, 0.31, 0.32), (0.2, 0.21, 0.22), False, "same"),  # spreads reach each other's median
    ((0.3, 0.31, 0.32), (0.2, 0.21, 0.4), False, "same"),
]


@pytest.mark.parametrize(("now", "before", "more_is_better", "verdict"), CHANGES)
def test_change_is_reported_only_beyond_the_spread(
    now: tuple[float, ...], before: tuple[float, ...], more_is_better: bool, verdict: str
) -> None:
    rows = [comparison(*ratios, more_is_better=more_is_better) for ratios in (now, before)]
    assert RUN.change(*rows) == verdict


@pytest.mark.parametrize(
    ("ratio", "goal", "more_is_better", "words"),
    [
        (0.2, 0.22, False, ("<= 0.22", "")),
        (0.3, 0.22, False, ("<= 0.22", "missed")),
        (0.9, 0.85, True, (">= 0.85", "")),
        (0.8, 0.85, True, (">= 0.85", "missed")),
        (0.8, None, True, ("", "")),
    ],
)
def test_table_shows_missed_goals(
    ratio: float, goal: float | None, more_is_better: bool, words: tuple[str, str]
) -> None:
    cells = shown(comparison(ratio, goal=goal, more_is_better=more_is_better))
    assert (cells["goal"], cells[""]) == words


def test_only_rows_of_both_runs_are_compared() -> None:
    now = {"kernels": [comparison(0.5)], "startup": [comparison(0.5)]}
    assert [line["benchmark"] for line in RUN.compared(now, {"kernels": [comparison(1.0)]})] == [
        "kernels"
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"kernels": [{"case": "any"}]}', '{"kernels": 1}'])
def test_file_of_something_else_is_refused_before_anything_is_measured(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(text)
    command = [sys.executable, str(BENCH / "run"), "--compare", str(file), "kernels"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "is not what bench/run writes" in ended.stderr
    assert not ended.stdout


def test_file_of_an_earlier_run_is_read(tmp_path: Path) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps({"machine": {}, "kernels": [comparison(1.0)]}))
    assert RUN.earlier_run(file)["kernels"][0]["ratio"] == 1.0
