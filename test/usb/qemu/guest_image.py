"""Makes the boot files of the guest: the kernel as ELF file, and an initramfs with its modules.

guest_image.py BZIMAGE OUT    writes the kernel; the initramfs is made at each start
"""

from __future__ import annotations

import gzip
import lzma
import re
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Kernel modules in load order, without their dependencies.
MODULES = ("virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p", "xhci_pci")
FOLDER, PROGRAM, FILE, LINK, DEVICE = 0o40755, 0o100755, 0o100644, 0o120777, 0o20600


def plain_kernel(image: bytes) -> bytes:
    """The ELF file in a bzImage; unpacking it in the emulation would take seconds.

    Source: Linux Documentation/x86/boot.rst (setup_sects, payload_offset, payload_length)
    """
    if image[0x202:0x206] != b"HdrS":
        raise SystemExit("not a bzImage")
    start = ((image[0x1F1] or 4) + 1) * 512
    offset, size = struct.unpack_from("<II", image, 0x248)
    packed = image[start + offset : start + offset + size]
    if packed.startswith(b"\xfd7zXZ\0"):
        # Four bytes of size follow the stream; a decompressor object ignores them.
        kernel = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed)
    elif packed.startswith(b"\x1f\x8b"):
        kernel = gzip.decompress(packed[:-4])
    elif packed.startswith(b"\x28\xb5\x2f\xfd"):
        words = ["zstd", "-dcq"]
        kernel = subprocess.run(words, input=packed[:-4], capture_output=True, check=True).stdout
    else:
        raise SystemExit(f"unknown compression of the kernel: {packed[:8].hex()}")
    if not kernel.startswith(b"\x7fELF"):
        raise SystemExit("the payload of the bzImage is not an ELF file")
    return kernel


def in_load_order(modules: Path) -> list[Path]:
    """The modules and their dependencies (`depends=` in each module)."""
    known = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    order: list[Path] = []

    def add(name: str) -> None:
        path = known.get(name.replace("-", "_"))
        if path is None or path in order:
            return  # built into the kernel, or already in the list
        found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", path.read_bytes())
        for needed in filter(None, found[1].decode().split(",") if found else []):
            add(needed)
        order.append(path)

    for name in MODULES:
        add(name)
    return order


class Archive:
    """A cpio archive in the kernel's format.

    Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        text = name.encode() + b"\0"
        number = len(self._parts) + 1
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(text), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + text
        self._parts.append(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def packed(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return gzip.compress(b"".join(self._parts), compresslevel=1)


def initramfs(parts: Path) -> bytes:
    """The initramfs: busybox and modules from unpacked packages, and `guest_init`."""
    archive = Archive()
    for folder in ("bin", "dev", "proc", "sys", "mnt", "mod"):
        archive.add(folder, FOLDER)
    archive.add("dev/console", DEVICE, device=(5, 1))
    archive.add("bin/busybox", PROGRAM, (parts / "bin/busybox").read_bytes())
    archive.add("bin/sh", LINK, b"busybox")
    archive.add("init", PROGRAM, (HERE / "guest_init").read_bytes())
    modules = in_load_order(parts / "lib/modules")
    for path in modules:
        archive.add(f"mod/{path.name}", FILE, path.read_bytes())
    archive.add("mod/order", FILE, "".join(f"{path.name}\n" for path in modules).encode())
    return archive.packed()


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_bytes(plain_kernel(source.read_bytes()))
