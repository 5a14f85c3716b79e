"""Finds what in the description of a network has no effect.

Nothing here is an error: Gen1 programs run with such files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ..bounded import clean_text, is_whole, shown

_METADATA = "NN_config.NN_specific_metadata"
#: Place in the document -> the keys that are read there. Source: docs/wire_format.md#configuration
_KEYS = {
    "": ("NN_config", "tensors", "mappings"),
    "NN_config": ("output_format", "NN_family", "confidence_threshold", "NN_specific_metadata"),
    _METADATA: (
        "classes",
        "coordinates",
        "anchors",
        "anchor_masks",
        "iou_threshold",
        "confidence_threshold",
    ),
    "mappings": ("labels",),
}
#: Without these the device finds no box in the output of a YOLO.
_YOLO_NEEDS = ("classes", "coordinates", "anchors", "anchor_masks")
#: Keys of one place that are looked at, characters of one, and sentences about one file.
_MOST_KEYS, _LONGEST_KEY, _MOST_SENTENCES = 100, 40, 8


def unused_in(path: str, document: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each part of this file that has no effect."""
    sentences = _sentences(document)
    yield from (f"{path}{text}" for text in islice(sentences, _MOST_SENTENCES))


def _sentences(document: Mapping[str, Any]) -> Iterator[str]:
    misspelt = [text for place in _KEYS for text in _misspelt(document, place)]
    yield from misspelt
    if not misspelt and not any(key in document for key in _KEYS[""]):
        yield f" is not used: it has none of the keys {', '.join(_KEYS[''])}"
    nn_config = _at(document, "NN_config")
    if "output_format" not in nn_config and "NN_family" in nn_config:
        yield (
            ": NN_config.NN_family is not used: without the output_format detection "
            "the output is raw"
        )
    if nn_config.get("output_format") == "detection" and nn_config.get("NN_family") == "YOLO":
        yield from _yolo(nn_config)
    yield from _surplus_labels(document)


def _at(document: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The object at this place; empty if there is none."""
    found: Any = document
    for key in filter(None, place.split(".")):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


# -- keys


def _misspelt(document: Mapping[str, Any], place: str) -> Iterator[str]:
    """The keys at one place that are like a known key which is missing."""
    for key in islice(_at(document, place), _MOST_KEYS):
        if key in _KEYS[place] or len(key) > _LONGEST_KEY:
            continue
        meant = _meant(key, place)
        holder, _, name = meant.rpartition(".")
        if meant and name not in _at(document, holder):
            where = _joined(place, clean_text(key))
            yield f": {where} is not used, the nearest is {meant}"


def _meant(key: str, place: str) -> str:
    """The full name of the known key that this one resembles; "" if there is none."""
    plain = _plain(key)
    here = {_plain(name): name for name in _KEYS[place]}
    if close := difflib.get_close_matches(plain, here, n=1, cutoff=0.75):
        return _joined(place, here[close[0]])
    elsewhere = (_joined(other, name) for other, names in _KEYS.items() for name in names)
    return next((full for full in elsewhere if _plain(full.rpartition(".")[2]) == plain), "")


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _joined(place: str, key: str) -> str:
    return ".".join(filter(None, (place, key)))


# -- values


def _yolo(nn_config: Mapping[str, Any]) -> Iterator[str]:
    metadata = _at(nn_config, "NN_specific_metadata")
    if missing := [key for key in _YOLO_NEEDS if key not in metadata]:
        yield (
            f": NN_config.NN_family YOLO is not used: NN_specific_metadata has no "
            f"{', '.join(missing)}, without which the device finds no boxes"
        )
    if "confidence_threshold" in nn_config:
        yield f": NN_config.confidence_threshold is not used: for YOLO it belongs in {_METADATA}"
    anchors, masks = metadata.get("anchors"), metadata.get("anchor_masks")
    if isinstance(anchors, list) and isinstance(masks, dict):
        yield from _masks_beyond(len(anchors) // 2, masks)


def _masks_beyond(pairs: int, masks: Mapping[str, Any]) -> Iterator[str]:
    """The masks that name an anchor which does not exist."""
    for side, mask in masks.items():
        wrong = [n for n in mask if not is_whole(n, 0, pairs - 1)] if isinstance(mask, list) else []
        if wrong or not isinstance(mask, list):
            yield (
                f": {_METADATA}.anchor_masks.{clean_text(side, _LONGEST_KEY)} is not used: it has "
                f"{shown(wrong[0] if wrong else mask)}, anchors has {pairs} pairs of numbers, "
                f"counted from 0"
            )


def _surplus_labels(document: Mapping[str, Any]) -> Iterator[str]:
    labels, classes = _at(document, "mappings").get("labels"), _at(document, _METADATA)
    count = classes.get("classes")
    if isinstance(labels, list) and is_whole(count, 0) and len(labels) > count:
        yield (
            f": mappings.labels from number {count} on is not used: it has {len(labels)} names, "
            f"{_METADATA}.classes is {count}"
        )
