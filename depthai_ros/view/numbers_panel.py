"""Numbers of one browser: state, table of the streams, plots, and the log."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import viser
from viser import uplot

from .history import LIMIT, PLOTS, History
from .source import State, StreamRow

#: Level -> colour of its dot.
COLORS = {"ok": "#2f9e44", "warn": "#e8890c", "error": "#e03131", "stale": "#868e96"}
_LINES = (
    "#4dabf7", "#ff922b", "#51cf66", "#f06595", "#fcc419", "#9775fa", "#20c997", "#ff6b6b",
    "#a9e34b", "#3bc9db", "#e599f7", "#ced4da", "#f8f9fa",
)  # fmt: skip
_LOG_LINES, _LOG_CHARACTERS = 20, 4000
_NAME, _FIGURE = "overflow-wrap:anywhere", "text-align:right;padding-left:0.5em"
_TABLE = "<table style='width:100%;font-size:0.8em;border-collapse:collapse;line-height:1.5'>"


class NumbersPanel:
    """The elements of the tab; they are made once."""

    def __init__(self, client: viser.ClientHandle, tab: viser.GuiTabHandle) -> None:
        self._client = client
        self._names: list[tuple[str, ...]] = [()] * len(PLOTS)
        gui = client.gui
        with tab:
            self._state = gui.add_html("")
            self._streams = gui.add_html("")
            self._folder = gui.add_folder("Last two minutes")
            with self._folder:
                self._plots = [self._add_plot(number) for number in range(len(PLOTS))]
            with gui.add_folder("Log of the node"):
                self._log: Any = gui.add_text(
                    "", "", multiline=True, disabled=True, hint="The last lines, newest below"
                )

    def _add_plot(self, number: int) -> Any:
        return self._client.gui.add_uplot(
            (np.zeros(2), np.zeros(2)), (uplot.Series(label="time"), uplot.Series(label="")),
            title=PLOTS[number].title, aspect=2.0, visible=False, legend={"live": False},
        )  # fmt: skip

    def draw(self, state: State, log: Iterable[str], history: History) -> None:
        """Show all of it; about once a second."""
        self._state.content = state_table(state)
        self._streams.content = streams_table(state.streams)
        lines = "\n".join(list(log)[-_LOG_LINES:])[-_LOG_CHARACTERS:]
        self._log.value = lines or "nothing yet"
        for number, plot in enumerate(self._plots):
            columns = history.columns(number)
            names = tuple(columns)
            plot.visible = bool(names)
            if not names:
                continue
            if names != self._names[number]:
                self._names[number] = names
                plot.series = _series(names)
            plot.data = (history.times, *columns.values())


def _series(names: tuple[str, ...]) -> tuple[Any, ...]:
    lines = [
        uplot.Series(label=name, stroke=color, width=1.5)
        for name, color in zip(names, _LINES, strict=False)
    ]
    if names[-1].startswith(LIMIT):
        lines[-1] = uplot.Series(label=names[-1], stroke="#e03131", width=1.0, dash=(4.0, 4.0))
    return (uplot.Series(label="time"), *lines)


# -- texts, in HTML: everything that comes from the source is escaped


def dot(level: str) -> str:
    """A dot in the colour of a level."""
    return f"<span style='color:{COLORS.get(level, COLORS['stale'])}'>●</span>"


def status_line(state: State) -> str:
    """One line for the top of the page: what the camera does, and what is wrong."""
    hottest = max(state.temperatures_c.values(), default=None)
    facts = [state.device or "unknown", state.link, f"{hottest:.0f} °C" if hottest else ""]
    if state.node == "gone":
        facts = ["the node does not answer: is it running?"]
    elif state.node not in ("", "active"):
        facts = [f"the node is {state.node}", *facts]
    line = f"{dot(state.level)} <b>{escape(' · '.join(filter(None, facts)))}</b>"
    if state.level != "ok" and state.text:
        line += f"<br><span style='font-size:0.85em'>{escape(state.text)}</span>"
    return f"<div style='padding:0.2em 0.7em 0.4em'>{line}</div>"


def state_table(state: State) -> str:
    """State of node and device."""
    temperatures = ", ".join(
        f"{name} {value:.0f} °C" for name, value in state.temperatures_c.items()
    )
    rows = {
        "Node": state.node,
        "Device": " – ".join(dict.fromkeys(filter(None, (state.device, state.text)))),
        "Link": state.link,
        "Temperature": temperatures,
        "Last error": state.last_error or "none",
    }
    cells = "".join(
        f"<tr><td style='opacity:0.6;white-space:nowrap;vertical-align:top;padding-right:1em'>"
        f"{name}</td><td>{escape(text)}</td></tr>"
        for name, text in rows.items()
        if text
    )
    return f"<div style='padding:0 0.7em'>{_TABLE}{cells}</table></div>"


def streams_table(streams: Iterable[StreamRow]) -> str:
    """A row for each stream: rate against expected, latency, data, losses by stage."""
    head = "<th style='text-align:left'>Stream</th>"
    for name in ("Hz", "of", "ms", "MB/s", "lost"):
        head += f"<th style='{_FIGURE}'>{name}</th>"
    rows = "".join(map(_stream_row, streams))
    if not rows:
        return "<div style='padding:0.4em 0.7em;opacity:0.6'>No stream is running.</div>"
    return f"<div style='padding:0.4em 0.7em'>{_TABLE}<tr>{head}</tr>{rows}</table></div>"


def _figure(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if math.isfinite(number) else "–"


def _stream_row(stream: StreamRow) -> str:
    lost = {stage: count for stage, count in stream.lost.items() if count}
    stages = ", ".join(f"{stage} {count}" for stage, count in lost.items())
    figures = (
        _figure(stream.fps, 1), _figure(stream.expected_fps or math.nan, 1),
        _figure(stream.latency_ms, 0), _figure(stream.mb_s, 1), f"{sum(lost.values())}",
    )  # fmt: skip
    cells = "".join(f"<td style='{_FIGURE}'>{escape(figure)}</td>" for figure in figures)
    more = escape("; ".join(filter(None, [stream.text if stream.level != "ok" else "", stages])))
    below = (
        f"<tr><td colspan=6 style='opacity:0.7;padding-left:1.4em'>{more}</td></tr>" if more else ""
    )
    return (
        f"<tr><td style='{_NAME}'>{dot(stream.level)} {escape(stream.name)}</td>{cells}</tr>{below}"
    )
