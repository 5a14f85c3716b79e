"""The images of one browser: which are chosen, and the elements that show them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from .encoded_images import EncodedImages
from .model import IMAGE_HZ, LAG_S, Browser
from .moment import Moment
from .source import BOXES, ImageChoice

#: What a page shows first: the first of these that exists.
FIRST = ("rgb/image_raw", "rgb/preview/image_raw", "left/image_raw", "right/image_raw")
_LAST = 1e12  # place of an element behind all others
#: Time without a new image after which its title says so.
QUIET_S = 3.0
#: Choices of images that are offered.
MOST_CHOICES = 60

Later = Callable[[Callable[[], None]], None]


class ImagesPanel:
    """A panel at the left edge: boxes to tick, and below them each ticked image."""

    def __init__(
        self,
        client: viser.ClientHandle,
        browser: Browser,
        encoded: EncodedImages,
        later: Later,
    ) -> None:
        """`later` runs a function in the thread of the page."""
        self._client, self._browser, self._encoded, self._later = client, browser, encoded, later
        self._ticks: dict[str, Any] = {}
        self._elements: dict[str, Any] = {}
        self._offered: tuple[ImageChoice, ...] = ()
        self.chosen: list[str] = []
        self._has_chosen = False
        self.draws_boxes = True
        panel = client.gui.add_panel()
        self._tab = panel.add_tab("Images", viser.Icon.CAMERA)
        with self._tab:
            self._folder = client.gui.add_folder("Choose images", expand_by_default=False)
            with self._folder:
                boxes = client.gui.add_checkbox(
                    "Draw detections", True, hint="Boxes and labels on the preview", order=_LAST
                )
            save = client.gui.add_button(
                "Save as PNG", icon=viser.Icon.DOWNLOAD, hint="Save the images below as files"
            )
        boxes.on_update(self._changing(lambda: setattr(self, "draws_boxes", boxes.value)))
        save.on_click(self._changing(self._save))
        panel.dock_left()
        panel.set_width(400)
        self._newest: Moment | None = None
        self._saved: Moment | None = None

    def _changing(self, change: Callable[[], None]) -> Any:
        async def callback(event: Any) -> None:
            if event.client is not None:
                self._later(change)

        return callback

    # -- choosing

    def offer(self, moment: Moment) -> None:
        """Offer what the source has now; what was chosen stays chosen."""
        offered = tuple(moment.choices.values())[:MOST_CHOICES]
        if offered == self._offered:
            return
        names = [choice.name for choice in offered]
        if names and not self._has_chosen:
            self._has_chosen = True
            self.chosen = [name for name in (*FIRST, *names) if name in names][:1]
        self._offered = offered
        for name in [name for name in self._ticks if name not in names]:
            self._ticks.pop(name).remove()
        with self._folder:
            for choice in offered:
                if choice.name not in self._ticks:
                    self._ticks[choice.name] = self._tick(choice)

    def _tick(self, choice: ImageChoice) -> Any:
        what = {"m": ", distance in colours", "px": ", disparity in colours"}.get(choice.unit, "")
        tick = self._client.gui.add_checkbox(
            plain_name(choice.name), choice.name in self.chosen, hint=choice.name + what
        )
        tick.on_update(self._changing(lambda: self.choose(choice.name, tick.value)))
        return tick

    def choose(self, name: str, is_on: bool) -> None:
        """Show an image, or hide it."""
        if is_on and name not in self.chosen:
            self.chosen.append(name)
        elif not is_on and name in self.chosen:
            self.chosen.remove(name)
        if name in self._ticks:
            self._ticks[name].value = is_on

    def shown(self, moment: Moment) -> dict[str, float]:
        """What the source has to receive for this panel, with the rates."""
        names = [name for name in self.chosen if name in moment.choices]
        boxes = {BOXES: IMAGE_HZ} if self.draws_boxes and any("preview" in n for n in names) else {}
        return dict.fromkeys(names, IMAGE_HZ) | boxes

    # -- drawing

    def draw(self, moment: Moment) -> bool:
        """Send the images that are new; True if there was one."""
        self._newest, sent = moment, False
        for name in self.chosen:
            choice = moment.choices.get(name)
            found = choice and self._encoded.get(moment, choice, boxes=self.draws_boxes)
            if found and self._browser.takes(f"image {name}", found.version, moment.now_s):
                element = self._element(name)
                element._format, element._data = found.image.format, found.image.data
                sent = True
        for name, element in self._elements.items():
            if element.visible != (name in self.chosen):
                element.visible = name in self.chosen
        return sent

    def _element(self, name: str) -> Any:
        if name not in self._elements:
            with self._tab:
                self._elements[name] = self._client.gui.add_image(
                    np.zeros((1, 1, 3), np.uint8), label=name, format="jpeg"
                )
        return self._elements[name]

    def title(self, moment: Moment, rates: dict[str, float]) -> None:
        """Write the rate of each image above it, or for how long there was none."""
        count = len(self.chosen)
        is_slow = self._browser.pace.rate_hz < IMAGE_HZ
        slowed = " (slow browser)" if is_slow else ""
        self._folder.label = f"Choose images ({count} of {len(self._offered)} shown)"
        for name in self.chosen:
            quiet_s = self._browser.quiet_s(f"image {name}", moment.now_s)
            fact = f"{rates.get(f'image {name}', 0):.2g} Hz{slowed}"
            if name not in moment.choices:
                fact = "does not exist now"
            elif name in self._encoded.errors:
                fact = self._encoded.errors[name]
            elif quiet_s > QUIET_S:
                fact = "no image yet" if math.isinf(quiet_s) else f"no image for {quiet_s:.0f} s"
            self._element(name).label = f"{name} · {fact}"

    def _save(self) -> None:
        """Send each image as a PNG file: each moment once, nothing to a browser that lags."""
        moment = self._newest
        if moment is None or moment is self._saved:
            return
        if self._browser.backlog.age_s(moment.now_s) > LAG_S:
            return
        self._saved = moment
        for name in self.chosen:
            choice = moment.choices.get(name)
            data = choice and self._encoded.png(moment, choice, boxes=self.draws_boxes)
            if data:
                file = name.replace("/", "_") + ".png"
                self._client.send_file_download(file, data, save_immediately=True)


def plain_name(name: str) -> str:
    """A topic in short words: left/image_rect -> left rectified."""
    words = name.removesuffix("/compressed").removesuffix("/image_raw")
    for ending in ("/image_rect_color", "/image_rect"):
        if words.endswith(ending):
            words = f"{words.removesuffix(ending)} rectified"
    return words.replace("/", " ").replace("_", " ")
