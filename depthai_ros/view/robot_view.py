"""Draws the robot's model under the frames of TF, whose joints move it."""

from __future__ import annotations

from typing import Any

import viser
from viser import transforms

from ..config import resolve_path
from ..errors import DepthaiError
from .moment import Moment, Pose
from .robot import Shape, shapes

_MESHES = (".stl", ".obj", ".ply", ".glb", ".gltf", ".off")


def set_pose(node: Any, pose: Pose) -> None:
    """Move a node of the scene; nothing is sent if it is there already."""
    node.wxyz = transforms.SO3.from_matrix(pose[:3, :3]).wxyz
    node.position = pose[:3, 3]


class RobotView:
    """The model in one browser; it is made anew when `robot_description` changes."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self._scene = client.scene
        self._urdf = ""
        self._parts: list[tuple[Shape, Any]] = []

    def draw(self, moment: Moment, is_on: bool) -> None:
        """Show the model where TF says its links are."""
        if is_on and moment.robot != self._urdf:
            self._make(moment.robot)
        for shape, node in self._parts:
            node.visible = is_on and shape.link in moment.frames
            if node.visible:
                set_pose(node, moment.pose(shape.link) @ shape.pose)

    def _make(self, urdf: str) -> None:
        for _, node in self._parts:
            node.remove()
        self._urdf, self._parts = urdf, []
        try:
            found = shapes(urdf) if urdf else []
        except DepthaiError:  # the source has said why
            return
        for number, shape in enumerate(found):
            node = self._add(f"/robot/{number}", shape)
            if node is not None:
                self._parts.append((shape, node))

    def _add(self, name: str, shape: Shape) -> Any:
        if shape.kind == "box":
            return self._scene.add_box(name, color=shape.color, dimensions=shape.sizes)  # type: ignore[arg-type]
        if shape.kind == "cylinder":
            radius, length = shape.sizes
            return self._scene.add_cylinder(name, radius, length, color=shape.color)
        if shape.kind == "sphere":
            return self._scene.add_icosphere(name, shape.sizes[0], color=shape.color)
        return self._add_mesh(name, shape)

    def _add_mesh(self, name: str, shape: Shape) -> Any:
        """A mesh from its file; None if it is not here, or of another kind."""
        import trimesh

        if not shape.file.startswith("package://") or not shape.file.lower().endswith(_MESHES):
            return None
        try:
            mesh = trimesh.load(resolve_path(shape.file), force="mesh")
        except Exception:  # a file of others: the readers of trimesh raise anything
            return None
        return self._scene.add_mesh_trimesh(name, mesh, scale=shape.sizes)  # type: ignore[arg-type]
