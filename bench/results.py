"""Figures with their baselines: a table for people, a JSON file for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Ours and its baseline: one value for each repetition, measured alternately."""

    case: str
    ours: Sequence[float]
    other: Sequence[float]
    baseline: str  # what `other` is
    unit: str
    goal: float | None = None  # of the ratio
    more_is_better: bool = False
    further: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The content of the file: medians, extremes, and the median of the ratios of the turns."""
        ratios = [
            mine / theirs if theirs else float("inf")
            for mine, theirs in zip(self.ours, self.other, strict=True)
        ]
        row: dict[str, Any] = {"case": self.case}
        for name, values in (("ours", self.ours), ("other", self.other), ("ratio", ratios)):
            row[name] = _rounded(median(values))
            row[f"{name}_spread"] = [_rounded(min(values)), _rounded(max(values))]
        return {
            **row,
            "baseline": self.baseline,
            "unit": self.unit,
            "goal": self.goal,
            "better": "more" if self.more_is_better else "less",
            "repetitions": len(ratios),
            **self.further,
        }


def against_limit(
    case: str, ours: Sequence[float], limit: float, unit: str, **further: Any
) -> Comparison:
    """A figure that must not exceed a limit."""
    others = [limit] * len(ours)
    return Comparison(case, ours, others, "limit", unit, goal=1.0, further=further)


def _rounded(value: float) -> float:
    """A number with four digits, which is more than its precision."""
    return float(f"{value:.4g}")


def arguments(description: str | None, **numbers: float) -> argparse.Namespace:
    """The command line of a benchmark: `--json FILE`, and an option for each number."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    for name, value in numbers.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(value), default=value, help=f"({value})")
    return parser.parse_args()


def publish_rows(name: str, comparisons: Sequence[Comparison], output: Path | None) -> None:
    """Print a benchmark's rows, and write all values to a file: {name: comparisons}."""
    print_table([shown(comparison.row()) for comparison in comparisons])
    if output is not None:
        document = {name: [asdict(comparison) for comparison in comparisons]}
        output.write_text(json.dumps(document, indent=1) + "\n")


def shown(row: Row) -> dict[str, str]:
    """A row for the table."""
    sign = ">=" if row["better"] == "more" else "<="
    low, high = row["ratio_spread"]
    return {
        "case": row["case"],
        "ours": f"{row['ours']:g}",
        "baseline": f"{row['other']:g}",
        "unit": row["unit"],
        "baseline is": row["baseline"],
        "ratio": f"{row['ratio']:.2f}",
        "spread": f"{low:.2f}..{high:.2f}",
        "goal": "" if row["goal"] is None else f"{sign} {row['goal']:g}",
        "": verdict(row),
    }


def verdict(row: Row) -> str:
    """Whether the ratio reaches its goal."""
    if row["goal"] is None:
        return ""
    more = row["better"] == "more"
    reached = row["ratio"] >= row["goal"] if more else row["ratio"] <= row["goal"]
    return "" if reached else "missed"


def print_table(rows: Sequence[Mapping[str, str]], *, markdown: bool = False) -> None:
    """A table with one column per key."""
    titles = list(rows[0])
    cells = [titles, *([row[title] for title in titles] for row in rows)]
    if markdown:
        cells.insert(1, ["---"] * len(titles))
        for line in cells:
            print("|", " | ".join(line), "|")
        return
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip(), flush=True)
