"""What the documents say about tables: each stands where they say, and lists of ours are whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from depthai_ros.virtual.scenes.source import SCENES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "depthai_ros"


def section(document: str, heading: str) -> str:
    """The text below a heading, up to the next one."""
    text = (ROOT / document).read_text(encoding="utf-8")
    _, found, below = text.partition(f"\n## {heading}\n")
    assert found, f"{document} has no heading {heading}"
    return below.partition("\n## ")[0]


#: Tables of documents that say where to find things, by document and heading.
GUIDES = (
    ("CONTRIBUTING.md", "Where do I add …"),
    ("docs/architecture.md", "One table for each kind of fact"),
    ("docs/architecture.md", "The path of a frame"),
)


def files_named(text: str) -> list[str]:
    """Words in backticks that are files or folders: all that have a slash or a known ending."""
    words = re.findall(r"`([\w*][\w./*]+)`", text)
    return [word for word in words if re.search(r"/|\.(py|cpp|hpp|txt|xml|md|pyi|toml)$", word)]


def places(word: str) -> list[Path]:
    """Where a document means: below the root, else below the package."""
    return [path for folder in (ROOT, PACKAGE) for path in folder.glob(word)]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide[1])
def test_every_file_that_a_guide_names_is_there(guide: tuple[str, str]) -> None:
    named = files_named(section(*guide))
    assert len(named) > 5
    assert [word for word in named if not places(word)] == []


@pytest.mark.parametrize("guide", GUIDES[:2], ids=lambda guide: guide[1])
def test_every_table_that_a_guide_names_is_in_its_file(guide: tuple[str, str]) -> None:
    pairs = re.findall(r"`(\w+)` (?:in|of) `([\w./]+)`", section(*guide))
    assert len(pairs) > 5
    for name, word in pairs:
        text = "".join(path.read_text(encoding="utf-8") for path in places(word))
        begun = rf"^{name}\b[^=\n]* = |\b{name}\[[^]\n]*\] = |\benum {name}\b"  # Python, C++
        assert re.search(begun, text, re.MULTILINE), f"{name} in {word}"


def test_every_room_is_drawn() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(re.findall(r"^ {6}(\w+)/", text, re.M)) == rooms


def test_every_scene_is_described() -> None:
    text = section("docs/virtual_device.md", "Scenes")
    described = re.findall(r"`virtual:(\w+)(?:=(\w+))?` \|", text)
    assert dict(described) == {name: kind.path for name, kind in SCENES.items()}


#: Fragments of error texts that the code puts together from parts.
COMPOSED = {
    "is not a parameter, the nearest is",
    "is not an argument, the nearest is",
    "needs the package robot_state_publisher",
    "is in use by process",
    "the node is inactive, it has to be active",
    "oak_left.yaml is not used: it is for",
    "there is another node called",
    "a USB link of speed HIGH carries about",
}


def texts_of_the_code() -> str:
    """Every string of the package and of the core; values in them are empty."""
    texts: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part for part in node.values if isinstance(part, ast.Constant)]
                texts.append("\0".join(str(part.value) for part in parts))
            elif isinstance(node, ast.Constant):
                texts.append(str(node.value))
    for path in (ROOT / "src").rglob("*.cpp"):
        joined = re.sub(r'"\s*\n\s*"', "", path.read_text(encoding="utf-8"))
        texts += re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined)
    return "\n".join(texts)


def test_symptoms_in_the_troubleshooting_guide_are_texts_of_the_code() -> None:
    lines = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()
    symptoms = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    fragments = {
        fragment.strip(" :;,.()")
        for quoted in re.findall(r"`([^`]+)`", "\n".join(symptoms))
        for fragment in re.split(r"…|\b[XYZN]\b|/oak\b|\d+|~\S+", quoted)
    }
    texts = texts_of_the_code()
    sentences = {fragment for fragment in fragments if len(fragment.split()) >= 3}
    assert len(sentences) > 15
    assert {fragment for fragment in sentences if fragment not in texts} == COMPOSED
