"""CHANGELOG.rst: what catkin_pkg reads in it, as the tools that make a release do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catkin_pkg import changelog
from catkin_pkg.cli.tag_changelog import get_forthcoming_label, rename_section
from catkin_pkg.package import parse_package
from catkin_pkg.package_version import bump_version
from docutils.core import publish_doctree
from docutils.nodes import document, reference, section

# catkin_pkg 1.1 calls a method that docutils has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:nodes.Node.traverse:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
VERSION = str(parse_package(str(ROOT / "package.xml")).version)
#: Date of a release that is tried out.
A_DAY = "2026-01-01"


def parsed() -> document:
    """The document; a warning is an error."""
    return publish_doctree(TEXT, settings_overrides={"report_level": 2, "halt_level": 2})


def released() -> dict[str, list[object]]:
    """Version -> what catkin_pkg finds, newest first, as after `catkin_tag_changelog`."""
    text = TEXT
    if label := get_forthcoming_label(text):
        is_released = re.search(rf"^{re.escape(VERSION)} \(", text, re.MULTILINE)
        following = bump_version(VERSION) if is_released else VERSION
        text = rename_section(text, label, f"{following} ({A_DAY})")
    found = changelog.populate_changelog_from_rst(changelog.Changelog("depthai_ros"), text)
    return {version: content for version, _, content in found.foreach_version(reverse=True)}


def test_newest_version_is_that_of_the_package_or_forthcoming() -> None:
    titles = [part.next_node().astext() for part in parsed().findall(section)]
    assert titles[0] == "Forthcoming" or titles[0].startswith(f"{VERSION} (")
    assert len(released()) == len(titles), f"a title is not VERSION (DATE): {titles}"
    assert VERSION in released()


def test_each_version_has_all_of_its_lines() -> None:
    lists = [
        part
        for content in released().values()
        for part in content
        if isinstance(part, changelog.BulletList)
    ]
    assert len(lists) == len(released()), "a version has one list"
    assert sum(len(part.bullets) for part in lists) == len(re.findall(r"^- ", TEXT, re.MULTILINE))


def test_links_lead_to_files_that_exist() -> None:
    targets = [node["refuri"].partition("#")[0] for node in parsed().findall(reference)]
    assert [target for target in targets if not (ROOT / target).exists()] == []
