"""A device that lies: the node lives, its messages are valid, and it recovers when the lie ends.

All lies share one node, which is started again only after a failure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from gen1_devices import BLOB, MODELS
from liar import FPS, STREAMS_SENT, Liar, Lie, liar_at
from lies import LIES
from nodes import Listener, NodeProcess, wait_until
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from stereo_msgs.msg import DisparityImage
from vision_msgs.msg import Detection2DArray, Detection3DArray

from depthai_ros.msg import DeviceStatus, TrackletArray

PARAMETERS = {
    "stream_list": [*STREAMS_SENT, "disparity"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": FPS,
    "camera.rgb.fps": FPS,
    "ai.blob_file": BLOB,
    "ai.blob_file_config": str(MODELS / "mobilenet_ssd.json"),
    "ai.calc_dist_to_bb": True,
    "diagnostics.period_s": 0.1,
    "reconnect.initial_delay_s": 0.02,
    "reconnect.max_delay_s": 0.1,
}
TOPICS: dict[str, Any] = {
    "left/image_raw": Image,
    "left/camera_info": CameraInfo,
    "depth/image_raw": Image,
    "disparity": DisparityImage,
    "rgb/preview/image_raw": Image,
    "rgb/still/image_raw/compressed": CompressedImage,
    "nn/detections": Detection2DArray,
    "nn/spatial_detections": Detection3DArray,
    "tracklets": TrackletArray,
    "nn/tracked_detections": Detection2DArray,
    "device/status": DeviceStatus,
}
#: Values that a message may have as NaN.
MAY_BE_NAN = {"css_c", "mss_c", "upa0_c", "upa1_c", "latency_ms"}
#: Log lines, characters and memory of one lie and the recovery from it; the node also prints up to
#: 50 lines of the device in each second, of the clock, that it takes.
MOST_LINES, MOST_CHARACTERS, MOST_BYTES = 30, 30_000, 450 << 20
DEVICE_LINES_PER_S = 50


class Stage:
    """A liar, a node that uses it as its device, and a listener."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "liar"
        self._liar = liar_at(self._path)
        self.liar: Liar = self._liar.__enter__()
        self.listener = Listener(keep=3)
        self.listener.subscribe(DiagnosticArray, "/diagnostics", keep=10)
        for topic, message_type in TOPICS.items():
            self.listener.subscribe(message_type, topic, latched=topic == "device/status")
        self.is_broken = True
        self.node: NodeProcess

    def prepare(self) -> None:
        """Start a node if the last lie broke the one before."""
        if self.is_broken:
            self.end_node()
            self.liar.be_honest()
            self.node = NodeProcess(self._folder, {**PARAMETERS, "device.id": self.liar.selector})
            self.node.wait_for_output("streaming meta_d2h")
            self.wait_for_images()
        self.is_broken = True
        self.listener.forget()
        self.start = len(self.node.output)
        self.began_s = time.monotonic()
        Path(f"/proc/{self.node.process.pid}/clear_refs").write_text("5")  # VmHWM = VmRSS
        self.bytes_before = self.peak_bytes()

    def wait_for_images(self) -> None:
        """Wait for images that the liar made after its last lie; every pixel is the epoch."""
        newest = self.liar.epoch % 256

        def arrived() -> bool:
            assert self.node.process.poll() is None, self.node.output[-3000:]
            images = self.listener.raw("left/image_raw")
            return bool(images) and images[-1][-100] == newest

        self.listener.wait_until(arrived, f"images of epoch {newest}")

    def said(self) -> str:
        """The node's log since the begin of the lie."""
        return self.node.output[getattr(self, "start", 0) :]

    def has_said(self, words: str) -> bool:
        """True if these words are in the log, or in the last error that /diagnostics has.

        The log does not repeat the same line within a minute.
        """
        statuses = (row for m in self.listener.messages("/diagnostics") for row in m.status)
        return words in self.said() or any(words in status.message for status in statuses)

    def peak_bytes(self) -> int:
        """The most resident memory of the node since `prepare()`."""
        status = Path(f"/proc/{self.node.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def rejected(self, stream: str) -> int:
        """The node's count of malformed packets in the present session."""
        for message in reversed(self.listener.messages("/diagnostics")):
            for status in message.status:
                if status.name == f"oak: stream {stream}":
                    return int(next(row.value for row in status.values if row.key == "rejected"))
        return 0

    def end_node(self) -> None:
        if hasattr(self, "node"):
            print(self.node.output[-20_000:])  # pytest shows it if the test failed
            self.node.kill()

    def close(self) -> None:
        self.end_node()
        self._liar.__exit__(None, None, None)
        self.listener.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("lies"))
    yield stage
    stage.close()


def check(value: Any, path: str) -> None:
    """Check that every number in a message is finite, and that sizes agree."""
    if isinstance(value, float):
        assert math.isfinite(value), f"{path} is {value}"
    elif hasattr(value, "get_fields_and_field_types"):
        _check_sizes(value, path)
        for name in value.get_fields_and_field_types():
            if name not in MAY_BE_NAN and name != "data":
                check(getattr(value, name), f"{path}.{name}")
    elif not isinstance(value, (str, bytes, int)):
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]")


def _check_sizes(message: Any, path: str) -> None:
    if isinstance(message, Image):
        assert len(message.data) == message.step * message.height, path
        assert message.step >= message.width > 0, path
    elif isinstance(message, CompressedImage):
        assert bytes(message.data[:2]) == b"\xff\xd8", path
    for name in ("size_x", "size_y", "score"):
        assert getattr(message, name, 0.0) >= 0.0, f"{path}.{name}"
    assert getattr(message, "score", 0.0) <= 1.0, path


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_node_survives_a_lie(stage: Stage, lie: Lie) -> None:
    stage.prepare()
    liar, listener = stage.liar, stage.listener
    rejected = stage.rejected(lie.at)
    liar.tell(lie)
    if lie.says:
        listener.wait_until(lambda: stage.has_said(lie.says), f"{lie.says!r}")
    if lie.ends == "rejected":
        listener.wait_until(lambda: stage.rejected(lie.at) > rejected, "rejected packets")
    else:
        least = 3 if lie.at in STREAMS_SENT else 1
        wait_until(lambda: liar.told >= least, lambda: f"lie {lie.name}")
    liar.be_honest()
    stage.wait_for_images()
    for topic in TOPICS:
        for message in listener.messages(topic):
            check(message, topic)
    said = stage.said()
    for words in ("Traceback", "bug in the driver", "\x1b", "\n[ERROR] [1.0]"):
        assert words not in said, said[:5000]
    seconds = int(time.monotonic() - stage.began_s) + 2
    assert said.count("\n") <= MOST_LINES + DEVICE_LINES_PER_S * seconds, said[:5000]
    assert len(said) <= MOST_CHARACTERS
    assert stage.peak_bytes() < stage.bytes_before + MOST_BYTES
    stage.is_broken = False
