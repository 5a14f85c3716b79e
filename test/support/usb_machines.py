"""Simulated machines with boards on USB: folders with a /sys, a /dev and a /proc."""

from __future__ import annotations

from pathlib import Path

ROM = {"idProduct": "2485", "speed": "480", "busnum": "1", "devnum": "4"}
BOOTED = {
    "idProduct": "f63b",
    "speed": "5000",
    "busnum": "2",
    "devnum": "5",
    "serial": "14442C10C14790D000",
}


class Machine:
    """A simulated machine, healthy by default; tests write faults into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("sys/module/usbcore/parameters/usbfs_memory_mb", "16")
        self.write("etc/udev/rules.d/80-depthai.rules", 'ATTRS{idVendor}=="03e7"')
        self.devices = root / "sys/bus/usb/devices"
        self.devices.mkdir(parents=True)
        (root / "dev/bus/usb").mkdir(parents=True)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode() + b"\n")
        return path

    def plug(self, name: str, attributes: dict[str, str]) -> Path:
        """Plug in a board whose device node can be opened."""
        for key, value in {"idVendor": "03e7", **attributes}.items():
            self.write(f"sys/bus/usb/devices/{name}/{key}", value)
        bus, number = int(attributes["busnum"]), int(attributes["devnum"])
        return self.write(f"dev/bus/usb/{bus:03}/{number:03}", "")

    def hold(self, node: Path, program: str = "camera_node", number: int = 4242) -> None:
        """Let a process of root have the node open."""
        self.write(f"proc/{number}/status", f"Name:\t{program}\nPPid:\t1\nUid:\t0\t0\t0\t0")
        self.write(f"proc/{number}/cmdline", f"{program}\0--ros-args\0".encode())
        (self.root / f"proc/{number}/fd").mkdir()
        (self.root / f"proc/{number}/fd/7").symlink_to(node)
