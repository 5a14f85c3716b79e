"""The point cloud that other nodes compute from depth fits the scene and the colour image.

depth_image_proc is not needed for it: its arithmetic is a few lines. Source: CameraInfo.msg, P.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from recordings import COLOR, MONO, PREVIEW, RGB, RIGHT, Recording, pixels, transforms
from scene_views import room, view

_MM_PER_M = 1000
_BASELINE_M = 0.075


@pytest.fixture(scope="module")
def landmarks() -> NDArray[np.float64]:
    """Points on the walls of the scene, in the axes of the right camera."""
    scene = room()
    scene.configure(view(mono_size=MONO, rgb_size=COLOR, preview_size=PREVIEW))
    return scene.landmarks()


@pytest.fixture
def cloud(recording: Recording) -> NDArray[np.float64]:
    """(H, W, 3), m: rays of depth/camera_info with the length of depth/image_raw."""
    info = recording["depth/camera_info"][-1]
    p = np.reshape(info.p, (3, 4))
    z = pixels(recording["depth/image_raw"][-1]) / _MM_PER_M
    v, u = np.indices(z.shape)
    x = (u - p[0, 2] - p[0, 3]) * z / p[0, 0]
    y = (v - p[1, 2] - p[1, 3]) * z / p[1, 1]
    return np.dstack((x, y, z))


def seen(
    landmarks: NDArray[np.float64], cloud: NDArray[np.float64], recording: Recording
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks in the depth image, their points of the cloud, and the tolerance.

    One step of disparity along the ray, and half a pixel of rounding across it.
    """
    p = np.reshape(recording["depth/camera_info"][-1].p, (3, 4))
    places = np.rint((landmarks @ p[:, :3].T)[:, :2] / landmarks[:, 2:]).astype(int)
    inside = ((places >= 0) & (places < MONO)).all(1)
    u, v = places[inside].T
    points, z = landmarks[inside], landmarks[inside, 2]
    assert len(points) >= 40
    return points, cloud[v, u], z**2 / (p[0, 0] * _BASELINE_M) * 1.5 + z / p[0, 0]


@pytest.mark.complaint(22)
def test_cloud_lies_on_the_walls_of_the_scene(
    landmarks: NDArray[np.float64], cloud: NDArray[np.float64], recording: Recording
) -> None:
    assert recording["depth/image_raw"][-1].header.frame_id == RIGHT
    points, measured, tolerance_m = seen(landmarks, cloud, recording)
    assert (np.linalg.norm(measured - points, axis=1) < tolerance_m).all()
    in_base = measured @ transforms(recording)[RIGHT][:3, :3].T
    upright = measured[:, [2, 0, 1]] * (1, -1, -1)  # x ahead, y to the left, z up
    np.testing.assert_allclose(in_base, upright, atol=0.02 * measured[:, 2].max())


@pytest.mark.complaint(22)
def test_cloud_registers_with_the_colour_image(
    landmarks: NDArray[np.float64], cloud: NDArray[np.float64], recording: Recording
) -> None:
    tree = transforms(recording)
    to_rgb = np.linalg.inv(tree[RGB]) @ tree[RIGHT]
    k = np.reshape(recording["rgb/camera_info"][-1].k, (3, 3))
    points, measured, _ = seen(landmarks, cloud, recording)
    true_px, found_px = (
        (axes @ k.T)[:, :2] / axes[:, 2:]
        for axes in (each @ to_rgb[:3, :3].T + to_rgb[:3, 3] for each in (points, measured))
    )
    assert np.abs(true_px - found_px).max() < 3.0
