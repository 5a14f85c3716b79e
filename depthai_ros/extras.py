"""Optional packages from pip: the versions that were tested, and how to install them.

setup.py runs this file by itself, so it imports nothing of this package.
"""

from __future__ import annotations

import operator
import re
import shlex
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Extra -> requirements as pip writes them, with the comparisons in _COMPARISONS. The page reaches
#: below the public interface of viser (view/server.py): test/python/view proves these versions.
EXTRAS = {
    "video": ("av>=12",),
    "view": ("viser==1.1.1", "websockets>=14.2,<17", "msgspec>=0.18.6,<1"),
}
_COMPARISONS = {"==": operator.eq, ">=": operator.ge, "<": operator.lt}


def missing(extra: str) -> str:
    """What an extra lacks in this Python, and the commands that install it; "" = nothing."""
    unmet = [text for text in map(_unmet, EXTRAS[extra]) if text]
    if not unmet:
        return ""
    return f"{sys.executable} {', '.join(unmet)}. To install:\n{_commands(EXTRAS[extra])}"


def _unmet(requirement: str) -> str:
    """Why a requirement is not met; "" = it is."""
    name, bounds = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"lacks {name}"
    if all(_COMPARISONS[sign](_numbers(found), _numbers(bound)) for sign, bound in _bounds(bounds)):
        return ""
    return f"has {name} {found}, tested is {name}{bounds}"


def _bounds(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(==|>=|<)([\d.]+)", text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _commands(requirements: tuple[str, ...]) -> str:
    """Shell commands; where the distribution owns this Python, in a venv on top of it."""
    install = shlex.join(["-m", "pip", "install", *requirements])
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix != sys.base_prefix or not marker.exists():
        return f"  {sys.executable} {install}"
    return (
        f"  {sys.executable} -m venv --system-site-packages ~/depthai_view\n"
        f"  . ~/depthai_view/bin/activate  # in each shell that starts the page\n"
        f"  python {install}"
    )
