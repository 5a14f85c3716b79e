"""Images in the form that browsers take, each made once for all of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from ..errors import DecodeError
from .model import Conversions
from .moment import Moment
from .pixels import BrowserImage, ColorScale, for_browser, for_file, thumbnail
from .source import Box, ImageChoice, LatestImage

#: Widths in px: of an image in the panel, which can be enlarged; of one whose pixels have to be
#: encoded here; of one on a camera in the scene.
WIDTH, CODED_WIDTH, SMALL_WIDTH = 1280, 640, 320


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as a file. Another version has other bytes."""

    version: Hashable
    image: BrowserImage


class EncodedImages:
    """Converts images for all browsers: those of one size get the same bytes."""

    def __init__(self) -> None:
        self.made = Conversions()
        self.errors: dict[str, str] = {}  # by name of the choice: why it cannot be shown
        self._scales: dict[str, ColorScale] = {}

    def get(
        self, moment: Moment, choice: ImageChoice, *, small: bool = False, boxes: bool = False
    ) -> EncodedImage | None:
        """The newest image of a choice; None if there is none that can be shown.

        `small` is for a camera in the scene; `boxes` are drawn on the preview.
        """
        found = moment.image(choice.name)
        if found is None:
            return None
        drawn = _boxes(moment, choice) if boxes else ()
        what, version = (choice.name, small, boxes), (found.stamp_ns, drawn)
        image = self.made.get(what, version, lambda: self._made(found, choice, small, drawn))
        return EncodedImage(version, image) if image else None

    def _made(
        self, found: LatestImage, choice: ImageChoice, small: bool, boxes: tuple[Box, ...]
    ) -> BrowserImage | None:
        scale = self._scale(choice)
        self.errors.pop(choice.name, None)
        try:
            if small and found.pixels is not None:
                return thumbnail(found, choice, width=SMALL_WIDTH, scale=scale)
            width = WIDTH if found.pixels is None else CODED_WIDTH
            return for_browser(found, choice, width=width, scale=scale, boxes=boxes)
        except DecodeError as error:
            self.errors[choice.name] = str(error)
            return None

    def _scale(self, choice: ImageChoice) -> ColorScale | None:
        if not choice.unit:
            return None
        if choice.name not in self._scales:
            self._scales[choice.name] = ColorScale(choice.unit)
        return self._scales[choice.name]

    def png(self, moment: Moment, choice: ImageChoice, *, boxes: bool) -> bytes:
        """The newest image in its full size as a PNG file; b"" if there is none."""
        found = moment.image(choice.name)
        if found is None:
            return b""
        drawn = _boxes(moment, choice) if boxes else ()
        try:
            return for_file(found, choice, scale=self._scale(choice), boxes=drawn)
        except DecodeError as error:
            self.errors[choice.name] = str(error)
            return b""

    def keep(self, names: set[str]) -> None:
        """Forget the images that nobody shows."""
        self.made.keep(lambda what: what[0] in names)
        for kept in (self._scales, self.errors):
            for name in [name for name in kept if name not in names]:
                del kept[name]


def _boxes(moment: Moment, choice: ImageChoice) -> tuple[Box, ...]:
    """The detections that can be drawn on an image: their boxes are in px of the preview."""
    if "preview" not in choice.name:
        return ()
    return tuple(box for box in moment.boxes if box.image is not None)
