"""Compresses the images of packets, as image_transport's plugins do; settings `compressed.*`."""

from __future__ import annotations

from ..config import Settings
from ..config.compression import compression_of
from ..streams import COMPRESSED_TOPICS
from .image_codecs import CodecSettings, encode
from .images import StampedPacket


class ImageEncoders:
    """The encoders of all image topics of one pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def change(self, settings: Settings) -> None:
        """Use other live settings from the next packet on."""
        self._settings = settings

    def encoded(self, image: str, packet: StampedPacket) -> StampedPacket:
        """The compressed image of the topic `image`.

        The I420 planes of a color frame are compressed as they are, if the format is JPEG.
        Raises  DecodeError if the packet does not have the size of its stream
        """
        values = compression_of(self._settings, image)
        del values["max_fps"]
        settings, encoding = CodecSettings(**values), COMPRESSED_TOPICS[image].encoding
        if packet.stream.layout == "i420" and settings.format == "jpeg" and not packet.is_made:
            made = encode(packet.sent.array, "i420", settings)
        else:
            made = encode(packet.converted(encoding).array, encoding, settings)
        return packet.compressed(made.buffer, made.size, made.format)
