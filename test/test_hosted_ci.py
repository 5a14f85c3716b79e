"""The files for machines that are not here: hosted CI and the container image."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: A step sources ROS 2 and starts one chore; nothing else that only the host would run.
STEP = re.compile(r'(?:\. "/opt/ros/\$ROS_DISTRO/setup\.bash" && )?make ([a-z-]+)(?: PREFIX=/\S+)?')
#: An image of docker's official library: no host name, no owner.
IMAGE = re.compile(r"[a-z]+:[\w${}. -]+")
CHORES = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def jobs(workflow: Path) -> dict[str, Any]:
    """The jobs of a workflow."""
    document: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return document


def test_workflows_call_chores_of_the_makefile_and_nothing_else() -> None:
    assert WORKFLOWS
    for workflow in WORKFLOWS:
        for name, job in jobs(workflow).items():
            for step in job["steps"]:
                if "uses" in step:
                    assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", step["uses"]), name
                    continue
                chore = STEP.fullmatch(step["run"])
                assert chore, f"{name}: {step['run']}"
                assert chore[1] in CHORES, f"{name}: make {chore[1]}"


def test_workflows_run_on_these_distributions_and_machines() -> None:
    (matrix,) = (
        job["strategy"]["matrix"] for job in jobs(WORKFLOWS[0]).values() if "strategy" in job
    )
    assert {"jazzy", "kilted", "rolling"} <= set(matrix["distro"])
    runners = {row["machine"]: row["runner"] for row in matrix["include"] if "runner" in row}
    assert set(matrix["machine"]) == runners.keys() == {"x86-64", "arm64"}
    assert "arm" in runners["arm64"]


def test_workflows_have_no_rights_and_use_official_images() -> None:
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
        assert "secrets." not in text
        for name, job in jobs(workflow).items():
            assert IMAGE.fullmatch(job["container"]["image"]), name
            assert job["timeout-minutes"] <= 120, name


# -- the container image


def stages() -> list[list[tuple[str, str]]]:
    """Instructions of each stage of the Dockerfile: name and text, in one line."""
    lines = (line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [line.partition(" ")[::2] for line in text.splitlines() if line]
    starts = [number for number, (name, _) in enumerate(found) if name == "FROM"]
    return [found[i:j] for i, j in zip(starts, [*starts[1:], len(found)], strict=True)]


def words(stage: list[tuple[str, str]], name: str) -> list[str]:
    """The texts of all instructions of one name in a stage."""
    return [text for instruction, text in stage if instruction == name]


def test_image_has_stages_from_official_images_and_ends_without_root() -> None:
    build, run = stages()
    for stage in (build, run):
        assert IMAGE.fullmatch(words(stage, "FROM")[0].partition(" AS ")[0])
    (user,) = words(run, "USER")
    assert int(user) >= 1000
    assert f"--uid {user} " in DOCKERFILE
    names = [name for name, _ in run]
    assert not {"RUN", "COPY"} & set(names[names.index("USER") :])


def test_image_is_built_by_a_chore_from_files_that_exist() -> None:
    build, run = stages()
    (chore,) = filter(None, map(STEP.fullmatch, words(build, "RUN")))
    assert chore[1] in CHORES
    prefix = chore[0].partition("PREFIX=")[2]
    for text in [*words(build, "COPY"), *words(run, "COPY")]:
        *sources, _ = text.split()
        if sources[0] == "--from=build":
            assert sources[1:] == [prefix]
        else:
            assert all((ROOT / source).exists() for source in sources)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {"src", "test", "tools", "overlay", "package.xml"} & set(ignored)


def test_image_starts_a_launch_file_of_this_package() -> None:
    (_, run) = stages()
    command = yaml.safe_load(words(run, "CMD")[0])
    assert command[:3] == ["ros2", "launch", "depthai_ros"]
    assert (ROOT / "launch" / command[3]).is_file()
    (entry,) = yaml.safe_load(words(run, "ENTRYPOINT")[0])
    assert os.access(ROOT / "tools" / entry, os.X_OK)
    assert f"COPY tools/{entry} " in DOCKERFILE


#: rosdep key -> Debian package at run time, where it is no package of ROS 2.
SYSTEM_PACKAGES = {
    "libjpeg": "libjpeg-turbo8",
    "libpng-dev": "libpng16-16t64",
    "libusb-1.0": "libusb-1.0-0",
}


def test_image_has_the_packages_that_the_manifest_declares_for_run_time() -> None:
    manifest = (ROOT / "package.xml").read_text()
    declared = set(re.findall(r"<(?:exec_)?depend(?: [^>]*)?>([^<]+)<", manifest))
    (installing,) = (text for text in words(stages()[1], "RUN") if "apt-get install" in text)
    ros = re.search(r"packages=\((.*?)\)", installing)
    system = re.search(r"--no-install-recommends (.*?)\"", installing)
    assert ros
    assert system
    installed = {f"ros:{name}" for name in ros[1].split()} | set(system[1].split())
    names = {
        key: key if key.startswith("python3-") else f"ros:{key.replace('_', '-')}"
        for key in declared
    }
    assert installed == {SYSTEM_PACKAGES.get(key, name) for key, name in names.items()}


def test_entry_point_sources_ros_and_driver_and_becomes_the_command(tmp_path: Path) -> None:
    ros, prefix = tmp_path / "ros" / "some", tmp_path / "prefix"
    for folder, name, text in (
        (ros, "setup.bash", "export FIRST=$FIRST:ros"),
        (prefix, "local_setup.bash", "export FIRST=$FIRST:driver"),
    ):
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
    script = (ROOT / "tools/container_entrypoint").read_text().replace("/opt/ros", str(ros.parent))
    copy = tmp_path / "entry"
    copy.write_text(script)
    environment = {**os.environ, "ROS_DISTRO": "some", "DEPTHAI_ROS_PREFIX": str(prefix)}
    command = ["bash", str(copy), "sh", "-c", "echo $FIRST $PPID"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [":ros:driver", str(os.getpid())]


@pytest.mark.parametrize("prefix", ["", "relative"])
def test_chore_for_the_image_refuses_a_prefix_that_is_no_absolute_path(prefix: str) -> None:
    done = subprocess.run(
        ["make", "install", f"PREFIX={prefix}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"error: PREFIX is '{prefix}', must be an absolute path" in done.stderr
