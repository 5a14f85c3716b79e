"""Calls the services of a node, and keeps its parameters as they are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParametersAtomically,
)
from rclpy.node import Node
from rclpy.qos import qos_profile_services_default

from .ros_controls import ControlValue, value_of

#: A request that may be sent twice is sent again after this time: rmw_fastrtps drops an answer if
#: the server has not discovered the client's reader yet.
_AGAIN_S = 2.0
#: Most parameters of a node that are shown.
_MOST_PARAMETERS = 2000
#: Time between two looks whether a service is there.
_POLL_S = 0.05
#: Services that are called one after the other to read all parameters.
_READING = ("list_parameters", "describe_parameters", "get_parameters")


@dataclass
class _Question:
    """A request that the thread of the executor has sent, until the answer."""

    kind: Any
    request: Any
    then: Callable[[Any], None]
    future: Any
    asked_s: float


class NodeCalls:
    """The services of one node."""

    def __init__(self, ros: Node, target: str) -> None:
        self._ros, self._target = ros, target
        self._making = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._questions: dict[str, _Question] = {}
        self.waiting: dict[threading.Event, str] = {}  # what each `call` waits for
        self.is_closed = False  # no call gets an answer any more

    def close(self) -> None:
        """Every `call` ends now, without an answer."""
        self.is_closed = True
        for done in [*self.waiting]:
            done.set()

    def client(self, kind: Any, name: str) -> Any:
        """The client of a service below the node's name."""
        with self._making:
            if name not in self._clients:
                self._clients[name] = self._ros.create_client(
                    kind, f"{self._target}/{name}", qos_profile=qos_profile_services_default
                )
            return self._clients[name]

    def ask(self, kind: Any, name: str, request: Any, then: Callable[[Any], None]) -> None:
        """Send a request that may be repeated; `check` calls `then` with the answer.

        Only for the thread of the executor. A request replaces one of the same service.
        """
        client = self.client(kind, name)
        if client.service_is_ready():
            future = client.call_async(request)
            self._drop(name)
            self._questions[name] = _Question(kind, request, then, future, time.monotonic())

    def is_asking(self, name: str) -> bool:
        """True while a request of `ask` has no answer."""
        return name in self._questions

    def forget(self) -> None:
        """Wait for no answer any more."""
        for name in [*self._questions]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        if name in self._questions:
            self._clients[name].remove_pending_request(self._questions.pop(name).future)

    def check(self) -> None:
        """Use the answers that have arrived, and repeat what has none."""
        now_s = time.monotonic()
        for name, row in [*self._questions.items()]:
            if row.future.done():
                del self._questions[name]
                answer = row.future.result()
                if answer is not None:
                    row.then(answer)
            elif now_s - row.asked_s > _AGAIN_S:
                self._drop(name)
                self.ask(row.kind, name, row.request, row.then)

    def call(self, kind: Any, name: str, request: Any, limit_s: float, *, again: bool) -> Any:
        """The answer, None if there is none in time. Not for the thread of the executor.

        With `again` the request is repeated.
        """
        client = self.client(kind, name)
        end_s = time.monotonic() + limit_s
        done = threading.Event()
        futures: list[Any] = []
        self.waiting[done] = name
        try:
            while not self.is_closed and (left_s := end_s - time.monotonic()) > 0:
                if not client.service_is_ready():
                    done.wait(min(left_s, _POLL_S))
                    continue
                if not futures or again:
                    futures.append(client.call_async(request))
                    futures[-1].add_done_callback(lambda _: done.set())
                done.wait(min(left_s, _AGAIN_S) if again else left_s)
                answered = [future for future in futures if future.done()]
                if answered:
                    return answered[0].result()
        finally:
            del self.waiting[done]
            for future in futures:
                client.remove_pending_request(future)
        return None


class NodeParameters:
    """Descriptors and values of the parameters of one node, replaced as a whole."""

    def __init__(self, calls: NodeCalls, target: str) -> None:
        self._calls, self._target = calls, target
        self.descriptors: Mapping[str, Any] = {}
        self.values: Mapping[str, ControlValue] = {}
        self.is_known = False
        self._has_missed = False  # an event, while the values were being read

    def connect(self) -> None:
        """Make the clients: a request right after that would wait for them to be discovered."""
        for kind, name in (
            (ListParameters, "list_parameters"),
            (DescribeParameters, "describe_parameters"),
            (GetParameters, "get_parameters"),
            (SetParametersAtomically, "set_parameters_atomically"),
        ):
            self._calls.client(kind, name)

    def forget(self) -> None:
        """Nothing is known any more; the next `refresh` reads all."""
        self.descriptors, self.values, self.is_known = {}, {}, False

    def refresh(self) -> None:
        """Read all parameters, unless that is going on."""
        if not any(map(self._calls.is_asking, _READING)):
            self._has_missed = False
            self._calls.ask(
                ListParameters, "list_parameters", ListParameters.Request(), self._describe
            )

    def _describe(self, answer: Any) -> None:
        names = list(answer.result.names[:_MOST_PARAMETERS])
        request = DescribeParameters.Request(names=names)
        self._calls.ask(
            DescribeParameters,
            "describe_parameters",
            request,
            lambda found: self._read({row.name: row for row in found.descriptors}),
        )

    def _read(self, descriptors: Mapping[str, Any]) -> None:
        names = list(descriptors)
        self._calls.ask(
            GetParameters,
            "get_parameters",
            GetParameters.Request(names=names),
            lambda found: self._store(descriptors, found.values),
        )

    def _store(self, descriptors: Mapping[str, Any], messages: Any) -> None:
        if len(messages) != len(descriptors):  # one was removed meanwhile
            return
        rows = zip(descriptors, map(value_of, messages), strict=True)
        self.values = {name: value for name, value in rows if value is not None}
        self.descriptors, self.is_known = descriptors, not self._has_missed

    def changed(self, event: ParameterEvent) -> None:
        """Use an event of any node."""
        if event.node != self._target:
            return
        if not self.is_known:
            self._has_missed = True
            return
        rows = [*event.changed_parameters, *event.new_parameters][:_MOST_PARAMETERS]
        found = {row.name: value_of(row.value) for row in rows}
        known = {name: value for name, value in found.items() if value is not None}
        self.values = {**self.values, **known}
        if event.deleted_parameters or not known.keys() <= self.descriptors.keys():
            self.is_known = False
