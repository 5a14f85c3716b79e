"""Replays recorded images on the virtual cameras: stereo pairs, single images, or a video.

Images keep their aspect ratio; they are scaled to fit and centred on black (letterbox). A stereo
pair is scaled further down if its disparities exceed the 96 levels of the search. The rgb camera
shows the right image of a pair, scaled by the ratio of the focal lengths, so that `nn_to_depth`
maps boxes in it correctly.

The images are assumed to be rectified, and their cameras are unknown. Therefore the device has a
blank EEPROM (version -1) by default, its raw images are the rectified ones, and its depth is that
of the board's focal length and baseline. With an EEPROM version that has intrinsics, the raw images
are warped such that its calibration rectifies them to the recorded ones.

Single images and videos are the same on all cameras; their disparity is 0 (none).
"""

from __future__ import annotations

import glob
import gzip
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...cameras import INTRINSICS_LAYOUT, ROTATIONS_LAYOUT
from ...errors import ConfigError
from .detector import PERSON, PersonDetector
from .optics import SceneCamera, SceneOptics, make_cameras, preview_crop
from .source import SceneObject, SceneView
from .stereo import LEVELS, largest_disparity, match_right

Pixels = NDArray[np.uint8]

SECONDS_PER_IMAGE = 1.0
_ENDINGS = re.compile(r"\.(png|jpe?g|bmp|pgm|ppm|tiff?)(\.gz)?$", re.IGNORECASE)
#: Names of a left image -> name of the right one.
_PAIRS = ((re.compile(r"left"), "right"), (re.compile(r"L$"), "R"), (re.compile(r"^im0$"), "im1"))
#: EEPROM versions with rectification: raw images are warped to match it.
_RECTIFYING_VERSIONS = (INTRINSICS_LAYOUT, ROTATIONS_LAYOUT)
#: Scales of the person detector: few for the frames of a video, many for still images.
_VIDEO_SIZES, _STILL_SIZES = 2, 16
#: A person is detected if at least this share of its box is in the preview.
_VISIBLE_SHARE = 0.5
_NOWHERE = (math.nan, math.nan, math.nan)
#: A time this little before the start of a frame still selects that frame.
_EARLY_S = 0.001


@dataclass(frozen=True)
class Shot:
    """Recorded images of one instant, (H, W, 3) BGR; a single image is both left and right."""

    left: Pixels
    right: Pixels
    stereo: bool


@dataclass(frozen=True)
class Placement:
    """Placement of a recorded image in a camera's image: scaled and centred."""

    scale: float
    size: tuple[int, int]  # (width, height) of the camera's image

    def offset(self, source: tuple[int, int]) -> tuple[int, int]:
        """Camera pixel of the scaled image's top left corner; negative if cropped."""
        width, height = self._scaled(source)
        return (self.size[0] - width) // 2, (self.size[1] - height) // 2

    def _scaled(self, source: tuple[int, int]) -> tuple[int, int]:
        return max(1, round(source[0] * self.scale)), max(1, round(source[1] * self.scale))

    def scaled(self, image: Pixels) -> Pixels:
        """The image, scaled."""
        size = self._scaled((image.shape[1], image.shape[0]))
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)

    def framed(self, scaled: Pixels) -> Pixels:
        """A scaled image, centred on black and cropped to the camera's size."""
        width, height = self.size
        x, y = (width - scaled.shape[1]) // 2, (height - scaled.shape[0]) // 2
        frame = np.zeros((height, width, *scaled.shape[2:]), np.uint8)
        part = scaled[max(0, -y) : height - y, max(0, -x) : width - x]
        frame[max(0, y) :, max(0, x) :][: part.shape[0], : part.shape[1]] = part
        return frame


def fitting_scale(source: tuple[int, int], size: tuple[int, int]) -> float:
    """Largest scale at which `source` fits into `size`, both (width, height)."""
    return min(size[0] / source[0], size[1] / source[1])


def _grey(image: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _flipped(image: Pixels) -> Pixels:
    return np.asarray(cv2.flip(image, 1), np.uint8)


class _Replay:
    """A source of recorded shots, one at a time."""

    name = "replay"

    def __init__(self, eeprom: Mapping[str, Any], sizes_of_people: int) -> None:
        cv2.setNumThreads(1)
        self._calibration = SceneOptics.from_eeprom(eeprom)
        self._rectifies = eeprom.get("version") in _RECTIFYING_VERSIONS
        self._detector = PersonDetector(sizes_of_people)
        self._people: dict[int, list[SceneObject]] = {}
        self._disparities: dict[int, Pixels] = {}
        self._scales: dict[int, float] = {}
        self._view: SceneView | None = None
        self._cameras: dict[str, SceneCamera] = {}
        self._index = -1
        self._shot: Shot | None = None
        self._images: dict[str, Pixels] = {}

    def _index_at(self, time_s: float) -> int:
        raise NotImplementedError

    def _load(self, index: int) -> Shot:
        raise NotImplementedError

    def configure(self, view: SceneView) -> None:
        """Set the image sizes and prepare the first shot."""
        self._view = view
        self._cameras = make_cameras(self._calibration, view)
        for cache in (self._people, self._disparities, self._scales):
            cache.clear()
        self._show(self._index_at(0.0))
        self.paint("disparity", 0.0, 0)

    def _configured(self) -> SceneView:
        if self._view is None:
            raise ConfigError(f"{self.name}: configure() must come before the first image")
        return self._view

    def _show(self, index: int) -> Shot:
        if self._shot is None or index != self._index:
            self._shot, self._index = self._load(index), index
        self._images = {}
        return self._shot

    def _shot_at(self, time_s: float) -> Shot:
        index = self._index_at(time_s)
        if self._shot is None or index != self._index:
            return self._show(index)
        return self._shot

    def paint(self, stream: str, time_s: float, sequence: int) -> Pixels:
        """See source.Source; the images depend on the time only."""
        shot = self._shot_at(time_s)
        if stream not in self._images:
            if stream not in _MAKERS:
                raise ConfigError(f"no scene paints stream {stream!r}, only {', '.join(_MAKERS)}")
            self._images[stream] = _MAKERS[stream](self, shot, stream)
        return self._images[stream]

    def placement(self, camera: str) -> Placement:
        """Placement of the present shot in the image of "rgb" or of a mono camera."""
        view, shot = self._configured(), self._shot
        assert shot is not None, "a shot is loaded before it is placed"
        source = (shot.right.shape[1], shot.right.shape[0])
        if not shot.stereo:
            size = view.rgb_size if camera == "rgb" else view.mono_size
            return Placement(fitting_scale(source, size), size)
        if self._index not in self._scales:
            scale = fitting_scale(source, view.mono_size)
            range_px = largest_disparity(_grey(shot.left), _grey(shot.right)) * scale
            self._scales[self._index] = scale * min(1.0, (LEVELS - 1) / max(range_px, 1e-9))
        scale = self._scales[self._index]
        if camera != "rgb":
            return Placement(scale, view.mono_size)
        focal_rgb, focal_mono = (
            self._cameras[name].projection[0, 0] for name in ("rgb", "rectified_right")
        )
        return Placement(scale * float(focal_rgb / focal_mono), view.rgb_size)

    # -- one method per kind of stream

    def _upright(self, shot: Shot, stream: str) -> Pixels:
        """The rectified image of a mono camera, never mirrored."""
        key = "upright " + stream.removeprefix("rectified_")
        if key not in self._images:
            image = shot.left if key.endswith("left") else shot.right
            placement = self.placement("mono")
            self._images[key] = placement.framed(placement.scaled(_grey(image)))
        return self._images[key]

    def _raw(self, shot: Shot, stream: str) -> Pixels:
        upright = self._upright(shot, stream)
        if not self._rectifies:
            return upright
        rectified, raw = (
            self._cameras[name].projection[:, :3] for name in (f"rectified_{stream}", stream)
        )
        warped = cv2.warpPerspective(
            upright,
            rectified @ np.linalg.inv(raw),
            self._configured().mono_size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return np.asarray(warped, np.uint8)

    def _rectified(self, shot: Shot, stream: str) -> Pixels:
        upright = self._upright(shot, stream)
        return _flipped(upright) if self._configured().mirror_rectified else upright

    def _disparity(self, shot: Shot, stream: str) -> Pixels:
        view = self._configured()
        if not shot.stereo:
            return np.zeros(view.mono_size[::-1], np.uint8)
        if self._index not in self._disparities:
            placement = self.placement("mono")
            scaled = (placement.scaled(_grey(image)) for image in (shot.left, shot.right))
            disparity = placement.framed(match_right(*scaled))
            self._disparities[self._index] = disparity
        disparity = self._disparities[self._index]
        return disparity if view.mirror_rectified else _flipped(disparity)

    def _bgr(self, shot: Shot, stream: str) -> Pixels:
        if "color_bgr" not in self._images:
            placement = self.placement("rgb")
            self._images["color_bgr"] = placement.framed(placement.scaled(shot.right))
        return self._images["color_bgr"]

    def _i420(self, shot: Shot, stream: str) -> Pixels:
        yuv = cv2.cvtColor(self._bgr(shot, stream), cv2.COLOR_BGR2YUV_I420)
        return np.asarray(yuv, np.uint8)

    def _preview(self, shot: Shot, stream: str) -> Pixels:
        view = self._configured()
        camera = view.nn_camera
        if camera == "rgb":
            image = self._bgr(shot, stream)
        elif camera.startswith("rectified"):
            image = self._rectified(shot, camera)
        else:
            image = self._raw(shot, camera)
        size = image.shape[1], image.shape[0]
        x, y, w, h = preview_crop(size, view.preview_size, keep_aspect=view.keep_aspect_ratio)
        part = image[y : y + h, x : x + w]
        small = cv2.resize(part, view.preview_size, interpolation=cv2.INTER_AREA)
        planes = small.transpose(2, 0, 1) if small.ndim == 3 else np.stack([small] * 3)
        return np.ascontiguousarray(planes, np.uint8)

    def objects(self, time_s: float, sequence: int) -> list[SceneObject]:
        """See source.Source; people detected in this frame, without positions."""
        shot = self._shot_at(time_s)
        if self._index not in self._people:
            left = self._configured().nn_camera.endswith("left")
            found = (
                self._in_preview(person.confidence, person.box, shot)
                for person in self._detector.detect(shot.left if left else shot.right)
            )
            self._people[self._index] = [person for person in found if person is not None]
        return self._people[self._index]

    def _in_preview(
        self, confidence: float, box: tuple[float, float, float, float], shot: Shot
    ) -> SceneObject | None:
        """A person of the recorded image in preview coordinates; None if mostly outside."""
        view, camera = self._configured(), self._configured().nn_camera
        placement = self.placement(camera)
        crop = preview_crop(placement.size, view.preview_size, keep_aspect=view.keep_aspect_ratio)
        source = np.array([shot.right.shape[1], shot.right.shape[0]])
        offset = np.array(placement.offset((int(source[0]), int(source[1]))))
        corners = np.array(box).reshape(2, 2) * source * placement.scale + offset
        whole = (corners - crop[:2]) / crop[2:]
        if view.mirror_rectified and camera.startswith("rectified"):
            whole[:, 0] = 1 - whole[::-1, 0]
        seen = np.clip(whole, 0, 1)
        if np.prod(seen[1] - seen[0]) < _VISIBLE_SHARE * np.prod(whole[1] - whole[0]):
            return None
        x0, y0, x1, y1 = seen.ravel().tolist()
        return SceneObject(PERSON, confidence, (x0, y0, x1, y1), _NOWHERE)


_MAKERS: dict[str, Callable[[_Replay, Shot, str], Pixels]] = {
    "left": _Replay._raw,
    "right": _Replay._raw,
    "rectified_left": _Replay._rectified,
    "rectified_right": _Replay._rectified,
    "disparity": _Replay._disparity,
    "color": _Replay._i420,
    "color_bgr": _Replay._bgr,
    "previewout": _Replay._preview,
}


class ImageReplay(_Replay):
    """Images of a folder in the order of their names, one second each.

    If the folder has stereo pairs, other images are ignored. Names of pairs: `leftX` and `rightX`,
    `XL` and `XR`, `im0` and `im1`. Files may be gzip-compressed. The path may also be a glob
    pattern such as /data/aloe*. The disparity of a pair is computed when it is first shown (that
    of the first pair in `configure`), then cached.
    """

    name = "images"

    def __init__(self, path: str, eeprom: Mapping[str, Any]) -> None:
        super().__init__(eeprom, _STILL_SIZES)
        self._shots = _find_shots(path)

    def _index_at(self, time_s: float) -> int:
        return int((time_s + _EARLY_S) / SECONDS_PER_IMAGE) % len(self._shots)

    def _load(self, index: int) -> Shot:
        left, right = self._shots[index]
        images = _read_image(left), _read_image(right)
        if images[0].shape != images[1].shape:
            raise ConfigError(f"stereo pair {left} and {right}: images differ in size")
        return Shot(*images, stereo=left != right)


def _find_shots(path: str) -> list[tuple[Path, Path]]:
    """Left and right file of every shot; the same file twice for a single image.

    Raises  ConfigError if there is no image
    """
    folder = Path(path)
    names = folder.iterdir() if folder.is_dir() else map(Path, glob.glob(path))  # noqa: PTH207
    files = {
        _ENDINGS.sub("", file.name): file for file in sorted(names) if _ENDINGS.search(file.name)
    }
    if not files:
        raise ConfigError(f"scene images={path}: no images found (png, jpg, bmp, pgm, ppm, tif)")
    pairs = [
        (file, files[pattern.sub(right, stem)])
        for stem, file in files.items()
        for pattern, right in _PAIRS
        if pattern.search(stem) and pattern.sub(right, stem) in files
    ]
    return pairs or [(file, file) for file in files.values()]


def _read_image(file: Path) -> Pixels:
    """(H, W, 3) BGR; ConfigError if the file is not an image."""
    data = file.read_bytes()
    if file.suffix.lower() == ".gz":
        data = gzip.decompress(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"cannot read {file} as an image")
    return np.asarray(image, np.uint8)


class VideoReplay(_Replay):
    """A video, looped at its own frame rate, independent of the rate of the cameras."""

    name = "video"

    def __init__(self, path: str, eeprom: Mapping[str, Any]) -> None:
        super().__init__(eeprom, _VIDEO_SIZES)
        self._path = path
        self._capture = cv2.VideoCapture(path)
        self._fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._capture.isOpened() or self._fps <= 0 or self._count <= 0:
            raise ConfigError(f"cannot read {path} as a video")
        self._next = 0

    def _index_at(self, time_s: float) -> int:
        return int((time_s + _EARLY_S) * self._fps) % self._count

    def _load(self, index: int) -> Shot:
        if index < self._next:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        else:
            for _ in range(index - self._next):
                self._capture.grab()
        good, frame = self._capture.read()
        if not good and index > 0:  # the header gives too many frames
            self._count = index
            return self._load(0)
        if not good:
            raise ConfigError(f"cannot read the first frame of {self._path}")
        self._next = index + 1
        image = np.asarray(frame, np.uint8)
        return Shot(image, image, stereo=False)
