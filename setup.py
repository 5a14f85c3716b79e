"""The way in for pip: CMake builds the extension, and has the only list of its sources."""

import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Builds and places the same target that colcon builds, without looking for ROS."""

    def build_extension(self, ext: Extension) -> None:
        prefix = Path(self.get_ext_fullpath(ext.name)).resolve().parents[1]
        build = Path(self.build_temp).resolve()
        configure = [
            f"-DPython3_EXECUTABLE={sys.executable}",
            "-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON",
            "-DBUILD_TESTING=OFF",
        ]
        for command in (
            ["-S", str(ROOT), "-B", str(build), *configure],
            ["--build", str(build), "--target", "_core", "--parallel"],
            ["--install", str(build), "--component", "extension", "--prefix", str(prefix)],
        ):
            subprocess.run(["cmake", *command], check=True)


def shared_files() -> list[tuple[str, list[str]]]:
    """Each folder below config/ with its files, for share/depthai_ros of the install prefix."""
    folders = [ROOT / "config", *(path for path in (ROOT / "config").rglob("*") if path.is_dir())]
    return [
        (
            f"share/depthai_ros/{folder.relative_to(ROOT)}",
            [str(path.relative_to(ROOT)) for path in sorted(folder.iterdir()) if path.is_file()],
        )
        for folder in folders
    ]


setup(
    name="depthai_ros",
    version=re.search("<version>(.+)</version>", (ROOT / "package.xml").read_text())[1],
    description="ROS 2 driver for Gen1 DepthAI and OAK cameras",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["depthai_ros", "depthai_ros.*"]),
    package_data={"depthai_ros": ["py.typed", "*.pyi", "gen1/name/*.py"]},
    data_files=shared_files(),
    ext_modules=[Extension("depthai_ros._core", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    entry_points={
        "console_scripts": [
            "depthai-doctor=depthai_ros.commands.doctor:main",
            "depthai-firmware=depthai_ros.device.firmware:main",
            "depthai-list=depthai_ros.commands.list_devices:main",
            "depthai-run=depthai_ros.commands.run_script:main",
            "depthai-test=depthai_ros.commands.installation_test:main",
            "depthai-udev=depthai_ros.commands.udev:main",
            "depthai-view=depthai_ros.commands.view:main",
        ]
    },
    install_requires=["numpy>=1.21", "opencv-python-headless>=4.5.4,<5", "PyYAML>=6"],
    extras_require=run_path(str(ROOT / "depthai_ros/extras.py"))["EXTRAS"],
)
