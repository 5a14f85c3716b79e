"""The thread that starts a lost pipeline again, with an owner that only counts."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest
from nodes import wait_until

from depthai_ros.device import reconnect
from depthai_ros.device.reconnect import Backoff, Recovery, Repeats, is_bug
from depthai_ros.errors import ConfigError, LinkError, ProtocolError


class Owner:
    """A `Recoverable` that notes its calls; `outcomes` are those of its attempts, then success."""

    def __init__(self, *outcomes: Exception, most: int = 0, delay_s: float = 0.0) -> None:
        self.calls: list[str] = []
        self.in_attempt: Callable[[], None] = lambda: None
        self.loss = ""
        self._outcomes = list(outcomes)
        self._most = most
        self._delay_s = delay_s

    def find_loss(self) -> str:
        loss, self.loss = self.loss, ""
        return loss

    def on_loss(self, loss: Exception | str) -> Backoff | None:
        self.calls.append("loss")
        delay_s = self._delay_s
        return Backoff(
            most=self._most, initial_delay_s=delay_s, max_delay_s=delay_s, watchdog_s=5.0
        )

    def end_pipeline(self) -> None:
        self.calls.append("end")

    def start_pipeline(self, find_s: float) -> None:
        self.calls.append("start")
        self.in_attempt()
        if self._outcomes:
            raise self._outcomes.pop(0)

    def on_failure(self, cause: Exception, failures: int) -> None:
        self.calls.append(f"failure {failures}")

    def on_return(self, away_s: float) -> None:
        self.calls.append("return")

    def on_giving_up(self, backoff: Backoff) -> None:
        self.calls.append(f"gave up after {backoff.summary}")

    def wait_for(self, call: str, times: int = 1) -> None:
        wait_until(lambda: self.calls.count(call) >= times, lambda: f"{call} in {self.calls}")


Begin = Callable[..., Recovery]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """begin(owner): a recovery that has begun; its thread must have ended after `end()`."""
    made: list[Recovery] = []

    def start(owner: Owner, check_s: float | None = None) -> Recovery:
        made.append(Recovery(owner, find_loss=owner.find_loss, check_s=check_s))
        made[-1].begin()
        return made[-1]

    yield start
    for recovery in made:
        recovery.end()
        assert not recovery._thread.is_alive()


def test_attempts_are_repeated_until_one_succeeds(begin: Begin) -> None:
    owner = Owner(LinkError("away"), OSError(24, "no descriptors"))
    recovery = begin(owner)
    recovery.lost(recovery.run, LinkError("gone"))
    owner.wait_for("return")
    expected = "loss,end,start,failure 1,end,start,failure 2,end,start,return"
    assert owner.calls == expected.split(",")


def test_lost_pipeline_is_not_kept_until_the_next_loss(begin: Begin) -> None:
    class Pipeline:
        def run(self) -> None:
            raise LinkError("gone")

    owner, pipeline = Owner(), Pipeline()
    recovery, kept = begin(owner), weakref.ref(pipeline)
    try:
        pipeline.run()
    except LinkError as cause:
        recovery.lost(recovery.run, cause)
    del pipeline
    owner.wait_for("return")
    wait_until(lambda: kept() is None, lambda: "the end of the lost pipeline")


def test_loss_is_found_by_looking(begin: Begin) -> None:
    owner = Owner()
    begin(owner, check_s=0.01)
    owner.loss = "sends no packets"
    owner.wait_for("return")


@pytest.mark.parametrize(
    ("most", "failure", "summary"),
    [
        (2, LinkError("away"), "2 reconnect attempts (reconnect.max_attempts)"),
        (0, ZeroDivisionError("a mistake of ours"), "3 bugs in a row"),
    ],
)
def test_limit_of_attempts(begin: Begin, most: int, failure: Exception, summary: str) -> None:
    owner = Owner(*[failure] * 5, most=most)
    recovery = begin(owner)
    recovery.lost(recovery.run, LinkError("gone"))
    owner.wait_for(f"gave up after {summary}")
    assert owner.calls.count("start") == int(summary.split()[0])
    assert recovery.demand("by the user")  # the thread still lives
    owner.wait_for("loss", 2)


def test_pipeline_that_is_lost_again_soon_counts_as_a_failed_attempt(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(most=2)
    recovery = begin(owner)
    for times in (1, 2):
        recovery.lost(recovery.run, LinkError("gone"))
        owner.wait_for("return", times)
    monkeypatch.setattr(reconnect, "_STEADY_WATCHDOGS", -1)
    recovery.lost(recovery.run, LinkError("gone after a while"))
    owner.wait_for("return", 3)
    monkeypatch.undo()
    for _ in range(2):
        recovery.lost(recovery.run, LinkError("gone"))
        run = recovery.run
        wait_until(lambda run=run: recovery.run > run, lambda: "the next run")
        owner.wait_for("return", 4)
    owner.wait_for("gave up after 2 reconnect attempts (reconnect.max_attempts)")


def test_loss_counts_for_its_pipeline_only(begin: Begin) -> None:
    owner = Owner()
    recovery = begin(owner)
    first = recovery.run
    recovery.lost(first, LinkError("gone"))
    owner.wait_for("return")
    recovery.lost(first, LinkError("late"))
    assert recovery.demand("by the user")
    owner.wait_for("return", 2)
    assert owner.calls.count("loss") == 2


def test_loss_during_an_attempt_is_recovered_from_next(begin: Begin) -> None:
    owner = Owner()
    recovery = begin(owner)
    losses = [LinkError("gone again")]
    owner.in_attempt = lambda: losses and recovery.lost(recovery.run, losses.pop())
    recovery.lost(recovery.run, LinkError("gone"))
    owner.wait_for("return", 2)


def test_demand_has_no_effect_during_a_recovery(begin: Begin) -> None:
    owner = Owner()
    recovery = begin(owner)
    demands = []
    owner.in_attempt = lambda: demands.append(recovery.demand("by the user"))
    recovery.lost(recovery.run, LinkError("gone"))
    owner.wait_for("return")
    assert demands == [False]


def test_end_ends_a_long_pause_and_is_final(begin: Begin) -> None:
    owner = Owner(delay_s=300.0)
    recovery = begin(owner)
    recovery.lost(recovery.run, LinkError("gone"))
    owner.wait_for("end")
    recovery.end()
    assert recovery.has_ended
    recovery.lost(recovery.run, LinkError("gone"))
    recovery.end()
    assert "start" not in owner.calls


def test_failure_after_the_end_is_not_reported(begin: Begin) -> None:
    owner = Owner(LinkError("closed"))
    recovery = begin(owner)
    entered, may_leave = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        may_leave.wait()

    owner.in_attempt = wait
    recovery.lost(recovery.run, LinkError("gone"))
    entered.wait()
    ending = threading.Thread(target=recovery.end)
    ending.start()
    wait_until(lambda: recovery.has_ended, lambda: "the end")
    may_leave.set()
    ending.join()
    assert owner.calls == ["loss", "end", "start", "end"]


def test_wait_for_the_first_frame_ends_with_the_loss_or_the_end() -> None:
    recovery = Recovery(Owner())
    arrived = threading.Event()
    recovery.lost(recovery.run, LinkError("gone"))
    with pytest.raises(LinkError, match="gone"):
        recovery.wait_for_frame(arrived, 300.0)
    recovery.end()
    recovery.wait_for_frame(arrived, 300.0)
    arrived.set()
    Recovery(Owner()).wait_for_frame(arrived, 300.0)


def culprit(side: str) -> ProtocolError:
    error = ProtocolError("bytes")
    error.culprit = side
    return error


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("a reset", False),
        (LinkError("gone"), False),
        (ConfigError("a file is away"), False),
        (OSError(24, "no descriptors"), False),
        (MemoryError(), False),
        (culprit("device"), False),
        (culprit("host"), True),
        (KeyError("x"), True),
    ],
)
def test_bugs_are_told_from_faults(cause: Exception | str, expected: bool) -> None:
    assert is_bug(cause) is expected


def test_repeated_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    repeats = Repeats()
    assert [repeats.text("gone") for _ in range(4)] == ["gone", "", "", ""]
    assert repeats.text("another") == "another"
    assert [repeats.text("gone") for _ in range(3)] == ["gone", "", ""]
    monkeypatch.setattr(reconnect, "_REMIND_S", -1.0)
    assert repeats.text("gone") == "gone (and 2 times before)"
    assert repeats.text("gone") == "gone"


#: A machine whose memory is used up when a device is lost; the first failure frees it.
_NO_MEMORY = """
import resource, threading
from depthai_ros.device.reconnect import Backoff, Recovery

class Owner:
    def on_loss(self, loss):
        resource.setrlimit(resource.RLIMIT_AS, (64 << 20, hard))
        return Backoff(most=0, initial_delay_s=0.0, max_delay_s=0.0, watchdog_s=1.0)

    def end_pipeline(self): pass

    def start_pipeline(self, find_s):
        threading.Thread(target=int).start()

    def on_failure(self, cause, failures):
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print("failed:", cause, flush=True)

    def on_return(self, away_s):
        print("back", flush=True)
        returned.set()

soft, hard = resource.getrlimit(resource.RLIMIT_AS)
returned = threading.Event()
both = threading.Barrier(2)
first = [threading.Thread(target=both.wait) for _ in range(2)]
for thread in first:
    thread.start()
for thread in first:
    thread.join()  # their stacks are kept, for the next threads
recovery = Recovery(Owner())
recovery.begin()
recovery.lost(0, OSError("unplugged"))
returned.wait()
recovery.end()
"""


def test_an_attempt_without_memory_for_a_thread_fails_and_the_next_one_works() -> None:
    """Python waits forever for the start of a thread that finds no memory."""
    found = subprocess.run(
        [sys.executable, "-c", _NO_MEMORY], capture_output=True, text=True, timeout=30
    )
    assert found.stdout == "failed: [Errno 12] Cannot allocate memory\nback\n", found.stderr
