"""Pictures arrive whole in another process, whichever way Fast DDS was told to carry them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from node_parts import DEADLINE_S, PROFILE_VARIABLES, ROOT, StartNode
from test_patterns import PARAMETERS

#: As the manual of Fast DDS has it. Pictures have no largest size, so it carries them otherwise.
DATA_SHARING = """<?xml version="1.0" encoding="UTF-8" ?>
<profiles xmlns="http://www.eprosima.com">
  <data_writer profile_name="writer" is_default_profile="true">
    <qos><data_sharing><kind>AUTOMATIC</kind></data_sharing></qos>
  </data_writer>
  <data_reader profile_name="reader" is_default_profile="true">
    <qos><data_sharing><kind>AUTOMATIC</kind></data_sharing></qos>
  </data_reader>
</profiles>
"""
SETTINGS = {
    "none": "",
    "ours": (ROOT / "config" / "fastdds.xml").read_text(),
    "data sharing": DATA_SHARING,
}


@pytest.mark.parametrize("name", SETTINGS)
def test_pictures_arrive_whole_with_these_settings(
    name: str, tmp_path: Path, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "profile.xml"
    profile.write_text(SETTINGS[name])
    for variable in PROFILE_VARIABLES:
        if SETTINGS[name]:
            monkeypatch.setenv(variable, str(profile))
        else:
            monkeypatch.delenv(variable)
    monkeypatch.setenv("RMW_FASTRTPS_USE_QOS_FROM_XML", str(int(SETTINGS[name] == DATA_SHARING)))
    node = start_node(PARAMETERS)
    seen = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("pattern_program.py"))],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
    )
    assert seen.returncode == 0, seen.stderr
    assert "every picture is right" in seen.stdout
    assert node.stop() == 0
    assert "XMLPARSER" not in seen.stderr + node.output, "the settings could not be read"
