"""Each documented way of installation in a new environment, and the installed commands.

Nothing is downloaded: the new environment uses the dependencies of the environment of the tests.
With DEPTHAI_ROS_FROM_INDEX=1 it is empty, and pip downloads the dependencies from its index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROM_INDEX = bool(os.environ.get("DEPTHAI_ROS_FROM_INDEX"))
LIMIT_S = 600 if FROM_INDEX else 300
#: Variables of the environment of the tests that would affect the new one.
OURS = {"LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
#: The extension is compiled quickly, without optimisation.
QUICK = {"CMAKE_BUILD_TYPE": "Debug", "CXXFLAGS": "-O0 -g0", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}
pytestmark = pytest.mark.timeout(2 * LIMIT_S)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    offline = {} if FROM_INDEX else {"PIP_NO_INDEX": "1"}
    return {**kept, **QUICK, **offline, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*words: object, folder: Path | None = None, status: int = 0) -> str:
    """Output of a program; fails if its exit status is not `status`."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, f"{words}: {done.returncode}\n{output[-4000:]}"
    return output


def lent_folders() -> list[str]:
    """Folders with the installed packages of this Python, without those of the checkout."""
    folders = [Path(entry) for entry in sys.path]
    named = [folder for folder in folders if folder.name in ("site-packages", "dist-packages")]
    return [str(folder) for folder in named if not folder.is_relative_to(ROOT / "install")]


class Place:
    """A new environment in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
        self.python = folder / "venv/bin/python"
        if not FROM_INDEX:
            words = "import site; print(site.getsitepackages()[0])"
            site = Path(run(self.python, "-c", words).strip())
            (site / "lent.pth").write_text("\n".join(lent_folders()) + "\n")

    def pip(self, *words: object) -> str:
        isolated = [] if FROM_INDEX else ["--no-build-isolation"]
        return run(
            *(sys.executable, "-m", "pip", "--python", self.python, "install"), *isolated, *words
        )

    def call(self, command: str, *words: object, status: int = 0) -> str:
        """Run an installed command; returns its output."""
        return run(self.folder / "venv/bin" / command, *words, folder=self.folder, status=status)


@pytest.fixture(scope="session", autouse=True)
def _one_compilation(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each way unpacks its sources in another folder; ccache, if there is one, does not mind.

    Paths below the base folder are relative to it; the folder is no part of what is compiled.
    """
    QUICK["TMPDIR"] = str(tmp_path_factory.mktemp("unpacked"))
    QUICK["CCACHE_BASEDIR"] = str(tmp_path_factory.getbasetemp())
    QUICK["CCACHE_NOHASHDIR"] = "1"


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A git repository with the present sources in one commit."""
    folder = tmp_path_factory.mktemp("sources") / "depthai_ros"
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    listed = run(*git, "ls-files", "-co", "--exclude-standard", folder=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(*git, "init", "-q", folder=folder)
    run(*git, "add", "-A", folder=folder)
    run(*git, "commit", "-q", "-m", "the sources", folder=folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)
    shutil.rmtree(tmp_path)


def install_wheel(place: Place, clone: Path) -> None:
    """`python -m build`: makes a source distribution, and a wheel from it."""
    isolated = [] if FROM_INDEX else ["--no-isolation", "--skip-dependency-check"]
    run(sys.executable, "-m", "build", *isolated, "--outdir", place.folder, clone)
    (wheel,) = place.folder.glob("*.whl")
    place.pip(wheel)


def install_folder(place: Place, clone: Path) -> None:
    place.pip(clone)


def install_commit(place: Place, clone: Path) -> None:
    commit = run("git", "rev-parse", "HEAD", folder=clone).strip()
    place.pip(f"git+file://{clone}@{commit}")


def install_for_development(place: Place, clone: Path) -> None:
    if FROM_INDEX:
        place.pip("setuptools<80", "pybind11", "numpy", "opencv-python-headless", "PyYAML")
    run(place.python, "-W", "ignore", "setup.py", "-q", "develop", "--no-deps", folder=clone)


#: Ways of installation; those from the same folder share compiled files.
WAYS = [install_wheel, install_commit, install_for_development, install_folder]


def commands(place: Place) -> list[str]:
    """Console commands in the metadata of the installed package."""
    text = (
        "from importlib.metadata import distribution\n"
        "print(*(e.name for e in distribution('depthai_ros').entry_points))"
    )
    return run(place.python, "-c", text, folder=place.folder).split()


PROGRAM = """
import depthai
device = depthai.Device("", False)
pipeline = device.create_pipeline({"streams": ["left"]})
print(pipeline.get_available_data_packets(True)[0].getData().shape)
"""


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_commands_of_the_installed_package_work(
    way: Callable[[Place, Path], None], place: Place, clone: Path
) -> None:
    way(place, clone)
    names = commands(place)
    assert {"depthai-run", "depthai-test", "depthai-list", "depthai-udev"} <= set(names)
    for name in names:
        assert "usage" in place.call(name, "--help").lower(), name
    image = place.folder / "out.png"
    place.call("depthai-test", "--headless", "--duration", "0.5", "--save", image)
    assert image.read_bytes().startswith(b"\x89PNG")
    program = place.folder / "program.py"
    program.write_text(PROGRAM)
    said = place.call("depthai-run", "--device", "virtual:pattern", program)
    assert said == "(720, 1280)\n"
    words = "from depthai_ros import depthai; print(depthai.__file__); import depthai"
    said = run(place.python, "-c", words, folder=place.folder, status=1)
    assert "No module named 'depthai'" in said  # the name belongs to the official package
    home = clone if way is install_for_development else place.folder
    assert said.startswith(str(home))
