"""Writes test/data/rosdep_keys.json: what rosdep installs for each package that we name.

    python tools/rosdep_keys.py ROSDISTRO

ROSDISTRO is a clone of ros/rosdistro. The names are those of package.xml and of the programs that
the launch files start; nothing else of the clone is kept.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "test/data/rosdep_keys.json"
DISTRIBUTIONS = ("jazzy", "kilted", "lyrical")
_RULES = ("rosdep/base.yaml", "rosdep/python.yaml")


def started_packages() -> set[str]:
    """Packages whose programs the launch files start, or which they ask for by name."""
    files = (*ROOT.glob("launch/*.py"), *ROOT.glob("depthai_ros/launch/*.py"))
    texts = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(r'(?:\bpackage=|\bneed\()"(\w+)"', texts)) - {"depthai_ros"}


def named_packages() -> set[str]:
    """Every dependency in package.xml, of each kind, and what the launch files start."""
    manifest = (ROOT / "package.xml").read_text(encoding="utf-8")
    return {*re.findall(r"<\w*depend>([^<]+)<", manifest), *started_packages()}


def _document(clone: Path, name: str) -> Any:
    command = ["git", "-C", str(clone), "show", f"HEAD:{name}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _released(distribution: Any) -> set[str]:
    """ROS packages with a released version."""
    rows = distribution["repositories"].items()
    releases = [(name, row.get("release", {})) for name, row in rows]
    return {
        package
        for name, release in releases
        if "version" in release
        for package in release.get("packages", [name])
    }


def _debian(rule: Any, codename: str) -> str | None:
    """The Debian packages of a rosdep rule on one Ubuntu; None if there are none, or only pip's."""
    found = rule.get("ubuntu") if isinstance(rule, dict) else None
    if isinstance(found, dict):
        found = found.get(codename, found.get("*"))
    return " ".join(found) if isinstance(found, list) and found else None


def keys(clone: Path) -> dict[str, Any]:
    """The document: source, Ubuntu of each distribution, and Debian packages of each name."""
    command = ["git", "-C", str(clone), "log", "-1", "--format=%H of %cs"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    rules = {name: rule for file in _RULES for name, rule in _document(clone, file).items()}
    files = {name: _document(clone, f"{name}/distribution.yaml") for name in DISTRIBUTIONS}
    ubuntu = {name: file["release_platforms"]["ubuntu"][0] for name, file in files.items()}
    released = {name: _released(file) for name, file in files.items()}

    def resolved(package: str, name: str) -> str | None:
        if package in released[name]:
            return f"ros-{name}-{package.replace('_', '-')}"
        return _debian(rules.get(package), ubuntu[name])

    return {
        "source": f"ros/rosdistro, commit {commit}; written by tools/rosdep_keys.py",
        "ubuntu": ubuntu,
        "packages": {
            package: {name: resolved(package, name) for name in DISTRIBUTIONS}
            for package in sorted(named_packages())
        },
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    STORED.write_text(json.dumps(keys(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
