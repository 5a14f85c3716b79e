"""The scene of one browser: cloud, cameras with their images, detections, frames, floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from .encoded_images import EncodedImages
from .model import CLOUD_HZ, IMAGE_HZ, SMALL_HZ, Browser
from .moment import Moment, Pose
from .pixels import box_text, label_color
from .robot_view import RobotView, set_pose
from .source import BOXES, CLOUD, Box, Cloud

#: Points that are sent to a browser; it gets a half or a quarter of them when it is slow.
MOST_POINTS, MOST_BOXES = 100_000, 50
#: Length of a camera that is drawn large, and of others: their images must not overlap, m.
_LARGE, _SMALL = 0.2, 0.07
#: Camera -> where its name stands, seen from behind.
_ANCHORS = {"left": "top-right", "right": "top-left"}
_COLORS = ((255, 176, 0), (0, 158, 255), (90, 200, 80), (230, 90, 200), (255, 110, 80))
_GRID_COLORS: dict[str, Any] = {"cell_color": (60, 60, 60), "section_color": (95, 95, 95)}


@dataclass(frozen=True, slots=True)
class Part:
    """Something in the scene that can be switched on and off."""

    key: str
    label: str
    meaning: str
    is_on: bool = True


PARTS = (
    Part("cloud", "Point cloud", "What the depth camera measures, in the colours of the camera"),
    Part("cameras", "Cameras", "Where each camera is, and what it can see"),
    Part("images", "Live images on the cameras", "The image of each camera, in front of it"),
    Part("boxes", "Detections", "What the network has found: name, distance, number of its track"),
    Part("frames", "Frames (TF)", "Axes of each frame: red x, green y, blue z"),
    Part("names", "Names of the frames", "The name of each frame beside its axes", is_on=False),
    Part("grid", "Floor", "A grid of half a metre"),
    Part("robot", "Robot", "The model in robot_description, if there is one"),
)


def _reduced(cloud: Cloud, step: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """One of `step` points, or fewer; scattered, because points in rows would become stripes."""
    step *= -(-len(cloud.points) // MOST_POINTS) or 1
    if step == 1:
        return cloud.points.astype(np.float16), cloud.colors
    chosen = np.arange(0, len(cloud.points) - step + 1, step)
    chosen += (chosen * 40503 >> 7) % step
    return cloud.points[chosen].astype(np.float16), cloud.colors[chosen]


class BrowserScene:
    """Draws what is switched on; each node of the scene is made once and then moved."""

    def __init__(
        self, client: viser.ClientHandle, browser: Browser, encoded: EncodedImages
    ) -> None:
        self._scene, self._browser, self._encoded = client.scene, browser, encoded
        self.on = {part.key: part.is_on for part in PARTS}
        self.point_size_mm = 8.0
        self._robot = RobotView(client)
        self._nodes: dict[str, Any] = {}

    def shown(self, moment: Moment) -> dict[str, float]:
        """What the source has to receive for this scene, with the rates."""
        rates = {CLOUD: CLOUD_HZ} if self.on["cloud"] else {}
        rates |= {BOXES: IMAGE_HZ} if self.on["boxes"] else {}
        if self.on["cameras"] and self.on["images"]:
            rates |= {camera.image: SMALL_HZ for camera in moment.cameras if camera.image}
        return rates

    def draw(self, moment: Moment) -> bool:
        """Send what has changed; True if there was something large."""
        if self._browser.takes("frames", moment.now_s, moment.now_s, SMALL_HZ):
            self._draw_frames(moment)
            self._draw_cameras(moment)
            self._draw_floor(moment)
            self._robot.draw(moment, self.on["robot"])
        self._draw_boxes(moment)
        are_images_new = self._draw_images(moment)
        return self._draw_cloud(moment) or are_images_new

    # -- nodes

    def _node(self, name: str, make: Callable[[str], Any], is_on: bool = True) -> Any:
        """A node of the scene, made when it is first shown."""
        node = self._nodes.get(name)
        if node is None:
            if not is_on:
                return None
            node = self._nodes[name] = make(name)
        if node.visible != is_on:
            node.visible = is_on
        return node if is_on else None

    def _remove(self, prefix: str, keep: set[str]) -> None:
        gone = [name for name in self._nodes if name.startswith(prefix) and name not in keep]
        for name in sorted(gone, key=len, reverse=True):  # children first
            self._nodes.pop(name).remove()

    # -- parts

    def _draw_cloud(self, moment: Moment) -> bool:
        cloud = moment.cloud if self.on["cloud"] else None
        node = self._node("/points", self._add_points, cloud is not None)
        if cloud is None or node is None:
            return False
        step = min(4, round(IMAGE_HZ / self._browser.pace.rate_hz))
        node.point_size = self.point_size_mm / 1000 * step**0.5
        if not self._browser.takes(CLOUD, cloud.stamp_ns, moment.now_s, CLOUD_HZ):
            return False
        points, colors = self._encoded.made.get(
            (CLOUD, step), cloud.stamp_ns, lambda: _reduced(cloud, step)
        )
        set_pose(node, moment.pose(cloud.frame_id))
        node._queue_update("points", points)  # the property would copy and compare them
        node._queue_update("colors", colors)
        return True

    def _add_points(self, name: str) -> Any:
        none = np.zeros((1, 3), np.float16)
        return self._scene.add_point_cloud(
            name, none, none.astype(np.uint8), point_size=0.008, point_shading="flat"
        )

    def _draw_cameras(self, moment: Moment) -> None:
        names = set()
        for camera in moment.cameras:
            name = f"/cameras/{camera.camera}"
            names |= {name, f"{name}/name"}
            aspect = camera.width / camera.height
            color = _COLORS[len(names) // 2 % len(_COLORS)]
            scale = _LARGE if camera.camera == "rgb" else _SMALL
            add = partial(self._add_camera, scale=scale, color=color)
            node = self._node(name, add, self.on["cameras"])
            if node is not None:
                node.fov, node.aspect = camera.fov_y_rad, aspect
                set_pose(node, moment.pose(camera.frame_id))
            anchor = _ANCHORS.get(camera.camera, "bottom-center")
            self._label(f"{name}/name", camera.camera, self.on["cameras"], anchor)
        self._remove("/cameras/", names)

    def _add_camera(self, name: str, scale: float, color: tuple[int, int, int]) -> Any:
        return self._scene.add_camera_frustum(
            name, fov=1.0, aspect=1.0, scale=scale, color=color, thickness=2.0,
            thickness_units="screen",
        )  # fmt: skip

    def _label(self, name: str, text: str, is_on: bool, anchor: Any = "bottom-center") -> None:
        label = self._node(
            name, lambda name: self._scene.add_label(name, text, anchor=anchor), is_on
        )
        if label is not None:
            label.text = text

    def _draw_images(self, moment: Moment) -> bool:
        """The live image in front of each camera; True if there was a new one."""
        sent = False
        for camera in moment.cameras:
            node = self._nodes.get(f"/cameras/{camera.camera}")
            choice = moment.choices.get(camera.image)
            if node is None or choice is None or not self.on["images"]:
                continue
            found = self._encoded.get(moment, choice, small=True)
            what = f"camera {camera.camera}"
            if found and self._browser.takes(what, found.version, moment.now_s, SMALL_HZ):
                node._format, node._image_data = found.image.format, found.image.data
                sent = True
        return sent

    def without_images(self) -> None:
        """Take the images off the cameras, when they are switched off."""
        for name, node in self._nodes.items():
            if name.startswith("/cameras/") and not name.endswith("/name"):
                node._image_data = None

    def _draw_boxes(self, moment: Moment) -> None:
        """Boxes of one label have the same nodes in each frame, so that only their poses change."""
        counts: Counter[str] = Counter()
        placed: dict[str, Box] = {}
        for box in moment.boxes if self.on["boxes"] else ():
            if box.center_m is not None and len(placed) < MOST_BOXES:
                label = box.label.replace("/", ":")
                counts[label] += 1
                placed[f"/boxes/{label}:{counts[label]}"] = box
        known = {name.removesuffix("/name") for name in self._nodes if name.startswith("/boxes/")}
        if len(known) > 2 * MOST_BOXES:
            self._remove("/boxes/", {*placed, *(f"{name}/name" for name in placed)})
            known.clear()
        for name in known - placed.keys():
            self._node(name, self._add_box, False)
            self._label(f"{name}/name", "", False)
        for name, box in placed.items():
            self._draw_box(name, box, moment.pose(box.frame_id).copy())

    def _draw_box(self, name: str, box: Box, pose: Pose) -> None:
        node = self._node(name, self._add_box)
        pose[:3, 3] = (pose @ [*(box.center_m or (0, 0, 0)), 1])[:3]
        set_pose(node, pose)
        node.dimensions = tuple(max(side, 0.05) for side in box.size_m)
        node.color = _bright(label_color(box.label)[::-1])
        self._label(f"{name}/name", box_text(box), True)

    def _add_box(self, name: str) -> Any:
        return self._scene.add_box(name, wireframe=True)

    def _draw_frames(self, moment: Moment) -> None:
        frames = moment.frames
        names = set()
        for frame in frames.values():
            name = f"/frames/{frame.name.replace('/', ':')}"  # a slash would make it a child
            names.add(name)
            node = self._node(name, self._add_frame, self.on["frames"] or self.on["names"])
            if node is not None:
                set_pose(node, frame.pose)
                node.show_axes = self.on["frames"]
                names.add(f"{name}/name")
                self._label(f"{name}/name", frame.name, self.on["names"])
        self._remove("/frames/", names)
        links = [
            (frames[frame.parent].pose[:3, 3], frame.pose[:3, 3])
            for frame in frames.values()
            if frame.parent in frames
        ]
        tree = self._node("/tree", self._add_tree, self.on["frames"] and bool(links))
        if tree is not None:
            tree.points = np.array(links, np.float32)

    def _add_frame(self, name: str) -> Any:
        return self._scene.add_frame(name, axes_length=0.06, axes_radius=0.003)

    def _add_tree(self, name: str) -> Any:
        none = np.zeros((1, 2, 3), np.float32)
        return self._scene.add_line_segments(
            name, none, (150, 150, 150), thickness=1.0, thickness_units="screen"
        )

    def _draw_floor(self, moment: Moment) -> None:
        """The floor is at the lowest frame of a robot; below a camera alone at a table's height."""
        node = self._node("/floor", self._add_floor, self.on["grid"])
        if node is not None:
            heights = [frame.pose[2, 3] for frame in moment.frames.values()] or [0.0]
            low = min(heights)
            node.position = (2.0, 0.0, low if max(heights) - low > 0.2 else low - 0.75)

    def _add_floor(self, name: str) -> Any:
        return self._scene.add_grid(name, 10, 10, cell_size=0.5, section_size=1.0, **_GRID_COLORS)


def _bright(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """The same hue, as light as possible, for thin lines on a dark ground."""
    red, green, blue = (level * 255 // max(1, *color) for level in color)
    return red, green, blue
