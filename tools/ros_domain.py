"""Finds a ROS domain that nobody else on this machine uses."""

from __future__ import annotations

import os
import socket

#: Domains whose ports lie below the ones that Linux hands out by itself.
#: Source: DDS-RTPS 2.5, 9.6.2: port = 7400 + 250 * domain + ..., and ip_local_port_range.
DOMAINS = range(1, 102)


def hold_domain() -> tuple[str, socket.socket]:
    """A ROS domain that no other run on this machine uses, held while the socket is open.

    A name in the abstract namespace: it needs no file, belongs to no user, and the kernel frees it.
    Raises  RuntimeError if all are taken
    """
    start = os.getpid() % len(DOMAINS)
    for domain in (*DOMAINS[start:], *DOMAINS[:start]):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0depthai_ros-domain-{domain}")
        except OSError:
            held.close()
            continue
        return str(domain), held
    raise RuntimeError("every ROS domain is taken by another run; set ROS_DOMAIN_ID")
