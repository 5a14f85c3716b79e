"""Controls, shared by all browsers: parameters, services and transitions of the camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import viser

from ..config.limits import Value, plain
from .model import ControlAnswer, ControlBook, checked, limits_text
from .source import Action, Control

#: Integers with more values than this get a field instead of a slider.
_MOST_STEPS = 100_000

Ask = Callable[[str, object, "int | None"], None]
Act = Callable[[str, "int | None"], None]


class ControlsPanel:
    """One element for each control, in a folder for each group."""

    def __init__(self, server: viser.ViserServer, tab: Any, ask: Ask, act: Act) -> None:
        """`ask(key, value, browser)` asks for a change, `act(key, browser)` calls an action."""
        self._gui, self._ask, self._act = server.gui, ask, act
        self._tab = tab
        self._folders: dict[str, Any] = {}
        self._elements: dict[str, _Element] = {}
        self._buttons: dict[str, tuple[Action, Any]] = {}
        with tab:
            self._notice = self._gui.add_html("", visible=False)
            self._actions = self._gui.add_folder("Actions", visible=False)

    # -- controls

    def draw(self, book: ControlBook) -> None:
        """Show the controls that exist now, with their values."""
        controls = book.controls
        for key in list(self._elements):
            form = controls.get(key)
            if form is None or self._elements[key].form != _form(form):
                self._elements.pop(key).remove()
        for key, control in controls.items():
            if key not in self._elements:
                with self._folder(control.group):
                    self._elements[key] = _make(self._gui, control, book.read_only, self._ask)
            self._elements[key].show(book.value(key))
        groups = {control.group for control in controls.values()}
        for group, folder in self._folders.items():
            if folder.visible != (group in groups):
                folder.visible = group in groups

    def _folder(self, group: str) -> Any:
        if group not in self._folders:
            with self._tab:
                self._folders[group] = self._gui.add_folder(
                    group or "more", expand_by_default=not self._folders
                )
        return self._folders[group]

    def answer(self, answer: ControlAnswer, clients: dict[int, viser.ClientHandle]) -> None:
        """Show the value that is in force; a refusal also as a message, with its reason."""
        element = self._elements.get(answer.key)
        if element is not None:
            element.show(answer.value)
        if not answer.reason:
            self._tell("")
            return
        self._tell(f"{answer.key} was not changed: {answer.reason}")
        if answer.asker in clients:
            clients[answer.asker].add_notification(
                f"{answer.key} was not changed", answer.reason, color="red", auto_close_seconds=10
            )

    def _tell(self, text: str) -> None:
        style = "padding:0.3em 0.7em;color:#e03131;font-size:0.9em"
        self._notice.content = f"<div style='{style}'>{escape(text)}</div>"
        self._notice.visible = bool(text)

    def tell_read_only(self) -> None:
        """Say at the top why nothing can be changed."""
        self._tell("Read only: this page was started to show, not to change.")

    # -- actions

    def offer(self, actions: Iterable[Action], read_only: bool) -> None:
        """A button for each action that exists now."""
        offered = {action.key: action for action in actions}
        for key in list(self._buttons):
            if offered.get(key) != self._buttons[key][0]:
                self._buttons.pop(key)[1].remove()
        with self._actions:
            for key, action in offered.items():
                if key not in self._buttons:
                    button = self._gui.add_button(
                        action.label, hint=action.meaning, disabled=read_only
                    )
                    button.on_click(_clicked(self._act, key))
                    self._buttons[key] = action, button
        if self._actions.visible != bool(offered):
            self._actions.visible = bool(offered)

    def set_busy(self, key: str, is_busy: bool) -> None:
        """Lock a button while its action runs."""
        if key in self._buttons:
            self._buttons[key][1].disabled = is_busy

    def label(self, key: str) -> str:
        """The label of an action."""
        return self._buttons[key][0].label if key in self._buttons else key


# -- elements


class _Element:
    """What one control looks like: it shows a value, and can be removed."""

    def __init__(self, control: Control, handle: Any, to_shown: Callable[[Value], Any]) -> None:
        self.form = _form(control)
        self._handle, self._to_shown = handle, to_shown

    def show(self, value: Value) -> None:
        """Show a value; nothing is sent if it is there already."""
        self._handle.value = self._to_shown(value)

    def remove(self) -> None:
        """Take the element away."""
        self._handle.remove()


class _ListElement(_Element):
    """A list of texts as boxes to tick, in a folder."""

    def __init__(self, control: Control, folder: Any, boxes: dict[str, Any]) -> None:
        super().__init__(control, folder, lambda value: value)
        self.boxes = boxes

    def show(self, value: Value) -> None:
        for text, box in self.boxes.items():
            box.value = isinstance(value, tuple) and text in value


def _form(control: Control) -> tuple[object, ...]:
    """What makes another element necessary."""
    kind = type(control.value)
    return kind, control.group, control.unit, control.low, control.high, control.choices


def _make(gui: Any, control: Control, read_only: bool, ask: Ask) -> _Element:
    """The element for a control."""
    value, key = control.value, control.key
    label, hint = _label(control), _hint(control)
    options = {"hint": hint, "disabled": read_only}
    if isinstance(value, tuple) and control.choices:
        return _make_list(gui, control, options, ask)
    to_shown: Callable[[Value], Any] = lambda value: value  # noqa: E731
    if isinstance(value, bool):
        handle = gui.add_checkbox(label, value, **options)
    elif control.choices:
        to_shown = plain
        texts = dict.fromkeys((*control.choices, plain(value)))
        handle = gui.add_dropdown(label, tuple(texts), initial_value=plain(value), **options)
    elif isinstance(value, (int, float)):
        handle = _make_number(gui, label, control, options)
    else:
        to_shown = _as_text
        handle = gui.add_text(label, _as_text(value), **options)
    split = isinstance(value, tuple)

    def given(shown: Any) -> Any:
        return tuple(_words(shown)) if split else shown

    _tell_others(handle, lambda new: not read_only and not checked(control, given(new))[0])

    @handle.on_update  # type: ignore[untyped-decorator]
    async def changed(event: Any) -> None:
        if event.client is not None:
            ask(key, given(event.target.value), event.client_id)

    return _Element(control, handle, to_shown)


def _tell_others(handle: Any, is_allowed: Callable[[Any], bool]) -> None:
    """viser tells other browsers each value at once: only those that can be asked for.

    Another one may have no form in a message, which would end the connections.
    """
    send = handle._impl.sync_cb

    def tell(browser: int, updates: dict[str, Any]) -> None:
        if is_allowed(updates.get("value")):
            send(browser, updates)

    handle._impl.sync_cb = tell


def _make_number(gui: Any, label: str, control: Control, options: dict[str, Any]) -> Any:
    value, low, high = control.value, control.low, control.high
    assert isinstance(value, (int, float))
    step = slider_step(control)
    if low is None or high is None or step is None:
        is_finite = math.isfinite(value)  # viser takes no value outside of the limits
        number = {
            "min": min(low, value) if low is not None and is_finite else None,
            "max": max(high, value) if high is not None and is_finite else None,
            "step": 1 if isinstance(value, int) else None,
        }
        return gui.add_number(label, value, **number, **options)
    kind = type(value)
    ends = kind(min(low, value)), kind(max(high, value))
    return gui.add_slider(label, *ends, kind(step), value, **options)


def slider_step(control: Control) -> float | None:
    """The step of a slider: 1, or 100 to 1000 steps; None if a field is better."""
    low, high = control.low, control.high
    if low is None or high is None or not 0 < high - low < math.inf:
        return None
    if not math.isfinite(control.value):  # type: ignore[arg-type]
        return None
    if isinstance(control.value, int):
        return 1 if high - low <= _MOST_STEPS else None
    return float(10.0 ** math.floor(math.log10((high - low) / 100)))


def _make_list(gui: Any, control: Control, options: dict[str, Any], ask: Ask) -> _ListElement:
    assert isinstance(control.value, tuple)
    folder = gui.add_folder(_label(control))
    with folder:
        boxes = {
            text: gui.add_checkbox(text, text in control.value, **options)
            for text in control.choices
        }

    async def changed(event: Any) -> None:
        if event.client is not None:
            chosen = tuple(text for text, box in boxes.items() if box.value)
            ask(control.key, chosen, event.client_id)

    for box in boxes.values():
        _tell_others(box, lambda _: not options["disabled"])
        box.on_update(changed)
    return _ListElement(control, folder, boxes)


def _clicked(act: Act, key: str) -> Any:
    async def callback(event: Any) -> None:
        if event.client is not None:
            act(key, event.client_id)

    return callback


def _label(control: Control) -> str:
    """The key in words, without its group; the unit in brackets."""
    name = control.key.removeprefix(f"{control.group}.")
    if control.unit:
        name = name.removesuffix(f"_{control.unit.replace('µ', 'u')}")
    name = name.replace("_", " ").replace(".", " ")
    return f"{name} ({control.unit})" if control.unit else name


def _hint(control: Control) -> str:
    limits = limits_text(control)
    facts = [control.meaning.rstrip("."), limits[:1].upper() + limits[1:], control.key]
    return ". ".join(filter(None, facts))


def _as_text(value: Value) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _words(text: str) -> Iterable[str]:
    return filter(None, (word.strip() for word in text.split(",")))
