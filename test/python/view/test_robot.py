"""The shapes of a robot's model, and texts that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depthai_ros.errors import DecodeError
from depthai_ros.view.robot import shapes

ROBOT = """
<robot name="r">
  <material name="blue"><color rgba="0 0 1 1"/></material>
  <link name="base">
    <visual><origin xyz="1 2 3" rpy="0 0 1.5707963"/><geometry><box size="1 2 3"/></geometry>
      <material name="blue"/></visual>
    <visual><geometry><cylinder radius="0.1" length="0.5"/></geometry></visual>
    <visual><geometry><sphere radius="nan"/></geometry></visual>
    <visual><geometry><capsule/></geometry></visual>
    <visual><geometry/></visual>
    <collision><geometry><box size="9 9 9"/></geometry></collision>
  </link>
  <link name="arm"><visual><geometry><mesh filename="package://p/a.stl"/></geometry></visual></link>
</robot>
"""


def test_visuals_of_all_links_are_read_and_what_cannot_be_drawn_is_left_out() -> None:
    box, cylinder, mesh = shapes(ROBOT)
    assert (box.link, box.kind, box.sizes, box.color) == ("base", "box", (1, 2, 3), (0, 0, 255))
    assert box.pose[:3, 3].tolist() == [1, 2, 3]
    assert np.allclose(box.pose[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    assert (cylinder.kind, cylinder.sizes) == ("cylinder", (0.1, 0.5))
    assert (mesh.link, mesh.file, mesh.sizes) == ("arm", "package://p/a.stl", (1, 1, 1))


def test_angles_turn_about_the_fixed_axes_in_the_order_of_urdf() -> None:
    text = ROBOT.replace("0 0 1.5707963", f"{math.pi / 2} 0 {math.pi / 2}")
    turned = shapes(text)[0].pose[:3, :3]
    assert np.allclose(turned @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(turned @ [0, 0, 1], [1, 0, 0])


@pytest.mark.parametrize(
    "text",
    [
        "", "no xml", "<robot>", "<robot/>" * 2, " " * (5 << 20),
        "<!DOCTYPE r [<!ENTITY a 'aaaa'>]><robot/>",
    ],
)  # fmt: skip
def test_text_that_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="robot_description"):
        shapes(text)


def test_number_of_shapes_is_bounded() -> None:
    visual = "<visual><geometry><sphere radius='1'/></geometry></visual>"
    assert len(shapes(f"<robot><link name='a'>{visual * 2000}</link></robot>")) == 300
