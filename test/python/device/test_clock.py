"""Clock estimates against simulated clocks with known offset and drift."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthai_ros.device.clock import ClockEstimator, HostClock, StampSource
from depthai_ros.wire_formats import FrameTrailer

S, MS, US = 1_000_000_000, 1_000_000, 1_000
#: Host's monotonic clock at the start; a host that has been up for days.
START_NS = 400_000 * S


@dataclass
class World:
    """A device whose clock began at `boot_ns` and gains `ppm` on the host, and its packets."""

    boot_ns: int = START_NS - 10 * S
    ppm: float = 0.0
    delay_ns: int = 2 * MS
    jitter_ns: int = 0
    ros_minus_monotonic_ns: int = 1_700_000_000 * S
    now_ns: int = START_NS
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def device_ns(self, host_ns: int) -> int:
        return round((host_ns - self.boot_ns) * (1 + self.ppm / 1e6))

    def packet(self, captured_ns: int, extra_ns: int = 0) -> tuple[int, int]:
        """(device time, arrival); time passes to the arrival."""
        late_ns = self.delay_ns + round(self.random.random() ** 3 * self.jitter_ns) + extra_ns
        self.now_ns = max(self.now_ns, captured_ns + late_ns)
        return self.device_ns(captured_ns), self.now_ns

    def clocks(self) -> tuple[int, int]:
        return self.now_ns + self.ros_minus_monotonic_ns, self.now_ns

    def ros_ns(self, host_ns: int) -> int:
        return host_ns + self.ros_minus_monotonic_ns


def run(world: World, clock: ClockEstimator, seconds: float, fps: int = 30) -> int:
    """Feed a clock; returns the time of the last capture."""
    first_ns = world.now_ns
    captured_ns = first_ns
    for index in range(int(seconds * fps)):
        captured_ns = first_ns + index * S // fps
        clock.update(*world.packet(captured_ns))
    return captured_ns


#: Drift of the device (ppm), jitter of its packets (ms) -> error allowed (ms).
RUNS = [(0, 0, 0.01), (0, 20, 1), (50, 5, 1), (-50, 5, 1), (150, 20, 1.5), (-400, 5, 1)]


@pytest.mark.parametrize(("ppm", "jitter_ms", "error_ms"), RUNS)
@pytest.mark.complaint(16)
def test_capture_time_is_found_but_for_the_shortest_delay(ppm, jitter_ms, error_ms):
    world, clock = World(ppm=ppm, jitter_ns=jitter_ms * MS), ClockEstimator()
    captured_ns = run(world, clock, 60)
    found_ns = clock.to_host_ns(world.device_ns(captured_ns))
    assert found_ns - captured_ns - world.delay_ns == pytest.approx(0, abs=error_ms * MS)
    assert -clock.drift_ppm == pytest.approx(ppm, abs=15)
    assert clock.jumps == 0


def test_no_packet_was_captured_after_it_arrived():
    world, clock = World(ppm=-80, jitter_ns=40 * MS), ClockEstimator()
    for index in range(3000):
        device_ns, received_ns = world.packet(START_NS + index * S // 30)
        clock.update(device_ns, received_ns)
        assert clock.to_host_ns(device_ns) <= received_ns


def test_drift_is_zero_in_the_first_seconds():
    world, clock = World(jitter_ns=30 * MS), ClockEstimator()
    run(world, clock, 8)
    assert clock.drift_ppm == 0


def test_drift_keeps_long_runs_together():
    world, clock = World(ppm=100), ClockEstimator()
    captured_ns = run(world, clock, 600, fps=10)
    found_ns = clock.to_host_ns(world.device_ns(captured_ns))
    assert found_ns - captured_ns == pytest.approx(world.delay_ns, abs=100 * US)
    assert clock.offset_ns / S == pytest.approx(world.boot_ns / S, abs=0.1)


def test_late_start_is_made_good_at_once():
    world, clock = World(), ClockEstimator()
    for index in range(10):  # all were queued for up to 300 ms
        clock.update(*world.packet(START_NS + index * 33 * MS, extra_ns=300 * MS - index * 33 * MS))
    captured_ns = START_NS + S
    device_ns, received_ns = world.packet(captured_ns)
    clock.update(device_ns, received_ns)
    assert clock.to_host_ns(device_ns) - captured_ns == world.delay_ns
    assert clock.jumps == 0


def test_congestion_raises_the_offset_slowly_and_is_no_jump():
    world, clock = World(), ClockEstimator()
    run(world, clock, 20)
    world.delay_ns = 200 * MS
    previous_ns, stamps = None, []
    first_ns = world.now_ns
    for index in range(30 * 20):
        captured_ns = first_ns + index * S // 30
        device_ns, received_ns = world.packet(captured_ns)
        clock.update(device_ns, received_ns)
        stamps.append(clock.to_host_ns(device_ns))
        if previous_ns is not None:
            assert stamps[-1] - previous_ns < 1.15 * S / 30
        previous_ns = stamps[-1]
    world.delay_ns = 2 * MS
    captured_ns = run(world, clock, 1)
    assert clock.to_host_ns(world.device_ns(captured_ns)) - captured_ns == pytest.approx(
        2 * MS, abs=MS
    )
    assert clock.jumps == 0


#: How the device's clock steps (s), the stream is named -> jumps counted.
STEPS = [
    (-30.0, True, 1),
    (-30.0, False, 1),
    (-0.5, True, 1),
    (-0.5, False, 0),
    (5.0, True, 1),
    (0.02, True, 0),
]


@pytest.mark.parametrize(("step_s", "named", "jumps"), STEPS)
@pytest.mark.complaint(16)
def test_step_of_the_devices_clock_starts_a_new_estimate(step_s, named, jumps):
    world, clock = World(), ClockEstimator()
    stream = "left" if named else ""
    for index in range(30 * 40):
        if index == 30 * 20:
            world.boot_ns -= round(step_s * S)
        captured_ns = START_NS + index * S // 30
        device_ns, received_ns = world.packet(captured_ns)
        clock.update(device_ns, received_ns, stream)
        if jumps and index > 30 * 20:
            assert abs(clock.to_host_ns(device_ns) - captured_ns) <= world.delay_ns
    assert clock.jumps == jumps
    assert abs(clock.to_host_ns(device_ns) - captured_ns) < 5 * MS


def test_slow_stream_beside_a_fast_one_is_no_reboot():
    world, clock = World(), ClockEstimator()
    for index in range(300):
        captured_ns = START_NS + 2 * S + index * S // 30
        clock.update(*world.packet(captured_ns), "left")
        clock.update(world.device_ns(captured_ns - 900 * MS), world.now_ns, "metaout")
    assert clock.jumps == 0
    assert clock.to_host_ns(world.device_ns(captured_ns)) == captured_ns + world.delay_ns


def test_jitter_is_the_deviation_of_delays():
    calm, wild = ClockEstimator(), ClockEstimator()
    run(World(), calm, 20)
    run(World(jitter_ns=40 * MS), wild, 20)
    assert calm.jitter_ns < 10 * US
    assert 5 * MS < wild.jitter_ns < 15 * MS
    assert wild.delay_ns == pytest.approx(10 * MS, abs=5 * MS)


# -- ROS time


def test_small_corrections_of_ros_time_are_followed_slowly():
    host = HostClock()
    assert host.is_due(0)
    host.read(100 * S, 0)
    host.read(101 * S + 40 * MS, S)
    assert host.to_ros_ns(S) == 101 * S + 10 * MS
    host.read(102 * S + 40 * MS, 2 * S)
    assert host.to_ros_ns(2 * S) == 102 * S + 20 * MS
    assert host.steps == 0
    assert not host.is_due(2 * S + 900 * MS)
    assert host.is_due(3 * S)


@pytest.mark.parametrize("step_ns", [60 * MS, -60 * MS, 3600 * S, -3600 * S])
def test_steps_of_ros_time_are_followed_at_once_and_counted(step_ns):
    host = HostClock()
    host.read(100 * S, 0)
    host.read(101 * S + step_ns, S)
    assert host.to_ros_ns(S) == 101 * S + step_ns
    assert host.steps == 1


# -- stamps


def metadata(camera: int, sequence: int, timestamp_ns: int) -> FrameTrailer:
    return FrameTrailer(15, 720, 1280, 1280, 1, 0, camera, sequence, timestamp_ns, 921_600)


#: Stream -> camera number, delay after the exposure (ms), deviation of its device time (us).
STREAMS = {
    "left": (1, 0, 0),
    "right": (2, 1, 25),
    "rectified_left": (1, 5, 0),
    "depth": (2, 9, 0),
    "color": (0, 12, 0),
    "metaout": (0, 120, 0),
}


class Session:
    """A device with several streams, and the stamps that its packets get."""

    def __init__(self, world: World, offset_ms: float = 0.0) -> None:
        self.world = world
        self.source = StampSource(offset_ms=offset_ms, read_clocks=world.clocks)
        self.stamps: dict[str, list[tuple[int, int, int]]] = {name: [] for name in STREAMS}

    def stream(self, seconds: float, first_sequence: int = 0) -> None:
        """Exposures at 30 Hz; packets arrive in the order of their delays."""
        arrivals = []
        start_ns = self.world.now_ns
        for index in range(int(seconds * 30)):
            captured_ns = start_ns + index * S // 30
            for name, (camera, late_ms, off_us) in STREAMS.items():
                late_ns = late_ms * MS + round(self.world.random.random() * 3 * MS)
                device_ns = self.world.device_ns(captured_ns) + off_us * US
                frame = metadata(camera, first_sequence + index, device_ns)
                arrivals.append((captured_ns + late_ns, name, captured_ns, frame))
        for arrival_ns, name, captured_ns, frame in sorted(arrivals, key=lambda each: each[0]):
            self.world.now_ns = max(self.world.now_ns, arrival_ns)
            stamp_ns = self.source.stamp_ns(frame, self.world.now_ns, name)
            self.stamps[name].append((frame.sequence, captured_ns, stamp_ns))

    def assert_increasing(self) -> None:
        for name, stamps in self.stamps.items():
            values = [stamp_ns for _, _, stamp_ns in stamps]
            assert all(a < b for a, b in itertools.pairwise(values)), name


@pytest.mark.complaint(17)
def test_packets_of_one_exposure_have_identical_stamps():
    session = Session(World(ppm=60))
    session.stream(20)
    for mono in ("right", "rectified_left", "depth"):
        assert [(s, t) for s, _, t in session.stamps[mono]] == [
            (s, t) for s, _, t in session.stamps["left"]
        ]
    assert [t for _, _, t in session.stamps["metaout"]] == [
        t for _, _, t in session.stamps["color"]
    ]
    session.assert_increasing()


def test_stamps_are_the_moment_of_capture_in_ros_time():
    session = Session(World(ppm=60))
    session.stream(20)
    for stamps in session.stamps.values():
        errors = [t - session.world.ros_ns(captured_ns) for _, captured_ns, t in stamps]
        assert max(map(abs, errors)) < 4 * MS


def test_constant_offset_moves_every_stamp():
    plain, moved = Session(World()), Session(World(), offset_ms=-12.5)
    for session in (plain, moved):
        session.stream(3)
    for name in STREAMS:
        for (_, _, a), (_, _, b) in zip(plain.stamps[name], moved.stamps[name], strict=True):
            assert b - a == -12.5 * MS


@pytest.mark.complaint(16)
def test_stamps_increase_through_a_reboot_of_the_device():
    world = World()
    session = Session(world)
    session.stream(15)
    world.now_ns += 3 * S
    world.boot_ns = world.now_ns - S
    session.stream(15)
    session.assert_increasing()
    assert session.source.jumps == 1
    assert session.stamps["left"][-1][2] - world.ros_ns(world.now_ns) < 0


def test_stamps_increase_when_the_clock_jumps_without_a_pause():
    world = World()
    session = Session(world)
    session.stream(15)
    world.boot_ns += 12 * S
    session.stream(15, first_sequence=5)
    session.assert_increasing()


@pytest.mark.parametrize("away_s", [0.5, 3.0, 60.0])
def test_device_that_is_known_to_have_restarted_is_stamped_right_from_the_first_packet(away_s):
    """Its clock may continue where it was when the link broke, which shows no restart."""
    world = World()
    session = Session(world)
    session.stream(5)
    world.now_ns += round(away_s * S)
    world.boot_ns += round(away_s * S)
    session.source.device_restarted()
    first = len(session.stamps["left"])
    session.stream(5, first_sequence=3)
    session.assert_increasing()
    assert session.source.jumps == 0, "it was no jump"
    for _, captured_ns, stamp_ns in session.stamps["left"][first:]:
        assert abs(stamp_ns - world.ros_ns(captured_ns)) < 10 * MS


@pytest.mark.complaint(16)
def test_stamps_follow_ros_time_when_it_is_set_back():
    world = World()
    session = Session(world)
    session.stream(5)
    world.ros_minus_monotonic_ns -= 3600 * S
    session.stream(5, first_sequence=150)
    sequence, captured_ns, stamp_ns = session.stamps["left"][-1]
    assert sequence == 299
    assert abs(stamp_ns - world.ros_ns(captured_ns)) < 4 * MS
    assert session.source.jumps == 1


#: Year of the host's clock after a step, in seconds since 1970; ROS time has 31 bits of them.
YEARS = {
    "1901": -(1 << 31),
    "1970": 0,
    "2037": 2_114_380_800,
    "2040": 2_208_988_800,
    "2262": 1 << 33,
}


@pytest.mark.parametrize("year", YEARS)
def test_stamps_fit_a_message_whatever_year_the_host_is_set_to(year):
    world = World()
    session = Session(world)
    session.stream(3)
    world.ros_minus_monotonic_ns = YEARS[year] * S - world.now_ns
    session.stream(3, first_sequence=90)
    stamps = [stamp_ns for _, _, stamp_ns in session.stamps["left"]]
    assert all(0 <= stamp_ns < (1 << 31) * S for stamp_ns in stamps)
    after = stamps[-30:]
    assert all(a < b for a, b in itertools.pairwise(after))
    assert year != "2037" or abs(after[-1] - YEARS[year] * S) < 10 * S
    world.ros_minus_monotonic_ns = 1_700_000_000 * S  # the right time again
    session.stream(3, first_sequence=180)
    _, captured_ns, stamp_ns = session.stamps["left"][-1]
    assert abs(stamp_ns - world.ros_ns(captured_ns)) < 4 * MS


_TIMES = st.one_of(
    st.integers(0, (1 << 31) * S - 1),
    st.integers(0, 100 * S),
    st.sampled_from([0, (1 << 31) * S - 1]),
)
_PACKETS = st.tuples(
    st.sampled_from([0, 1, 2, 1 << 31]),
    st.integers(-(1 << 31), (1 << 31) - 1),
    _TIMES,  # of the device
    st.integers(0, 5 * S),  # since the packet before
    st.sampled_from([0, 0, 0, -3600 * S, 3600 * S, -(1 << 33) * S, 1 << 62]),  # step of the host
    st.sampled_from(["left", "color", ""]),
)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.lists(_PACKETS, max_size=40))
def test_stamp_of_any_packet_at_any_time_fits_a_message(packets):
    world = World()
    source = StampSource(read_clocks=world.clocks)
    for camera, sequence, device_ns, passed_ns, step_ns, stream in packets:
        world.now_ns += passed_ns
        world.ros_minus_monotonic_ns += step_ns
        frame = metadata(camera, sequence, device_ns) if stream else None
        stamp_ns = source.stamp_ns(frame, world.now_ns, stream)
        assert 0 <= stamp_ns < (1 << 31) * S
        assert abs(source.drift_ppm) <= 1000


def test_packet_that_is_late_gets_a_stamp_between_its_neighbours():
    world = World(delay_ns=0)
    source = StampSource(read_clocks=world.clocks)
    stamps = {}
    for sequence in (1, 2, 4, 3):
        world.now_ns = START_NS + max(sequence, max(stamps, default=0)) * 33 * MS
        frame = metadata(1, sequence, world.device_ns(START_NS + sequence * 33 * MS))
        stamps[sequence] = source.stamp_ns(frame, world.now_ns, "left")
    assert sorted(stamps, key=lambda sequence: stamps[sequence]) == [1, 2, 3, 4]


def test_late_packets_stay_in_order_while_the_offset_is_still_found():
    world = World()
    source = StampSource(read_clocks=world.clocks)
    stamps = {}
    for sequence, arrival_ms in ((1, 300), (2, 301), (4, 302), (3, 303)):
        frame = metadata(1, sequence, world.device_ns(START_NS + sequence * 33 * MS))
        world.now_ns = START_NS + arrival_ms * MS
        stamps[sequence] = source.stamp_ns(frame, world.now_ns, "left")
    assert sorted(stamps, key=lambda sequence: stamps[sequence]) == [1, 2, 3, 4]


def test_a_fast_packet_of_another_camera_does_not_turn_time_back():
    world = World()
    source = StampSource(read_clocks=world.clocks)
    stamps = []
    for camera, captured_ms, arrival_ms in ((1, 33, 300), (0, 300, 301), (1, 66, 302)):
        frame = metadata(camera, 1, world.device_ns(START_NS + captured_ms * MS))
        world.now_ns = START_NS + arrival_ms * MS
        stamps.append(source.stamp_ns(frame, world.now_ns))
    assert stamps[0] < stamps[2]


def test_first_stamps_after_a_reboot_lie_behind_the_last_before_it():
    world = World(delay_ns=0)
    source = StampSource(read_clocks=world.clocks)
    last_ns = source.stamp_ns(metadata(1, 9, 50 * S), world.now_ns, "left")
    world.now_ns += 20 * MS
    later_ns = source.stamp_ns(metadata(1, 2, 99 * MS), world.now_ns, "left")
    first_ns = source.stamp_ns(metadata(2, 1, 66 * MS), world.now_ns, "right")
    assert last_ns < first_ns < later_ns


def test_packets_without_metadata_are_stamped_by_arrival():
    world = World()
    session = Session(world)
    session.stream(5)
    world.now_ns += 10 * MS
    delayed_ns = world.ros_ns(world.now_ns)
    first = session.source.stamp_ns(None, world.now_ns, "video")
    second = session.source.stamp_ns(None, world.now_ns, "video")
    assert 0 < delayed_ns - first < 60 * MS
    assert first < second


def test_hostile_device_time_spoils_only_its_own_packet():
    world = World()
    session = Session(world)
    session.stream(15)
    wrong = metadata(1, 999, (1 << 31) * S - 1)
    assert session.source.stamp_ns(wrong, world.now_ns, "left") <= world.ros_ns(world.now_ns)
    session.stream(2, first_sequence=450)
    _, captured_ns, stamp_ns = session.stamps["right"][-1]
    assert abs(stamp_ns - world.ros_ns(captured_ns)) < 4 * MS
    session.assert_increasing()


@pytest.mark.complaint(16)
def test_stamps_never_lie_in_the_future():
    world = World(ppm=-200, jitter_ns=30 * MS)
    source = StampSource(read_clocks=world.clocks)
    for index in range(3000):
        device_ns, received_ns = world.packet(START_NS + index * S // 30)
        stamp_ns = source.stamp_ns(metadata(1, index, device_ns), received_ns, "left")
        assert stamp_ns <= world.ros_ns(received_ns)


def test_memory_stays_bounded():
    world = World()
    source = StampSource(read_clocks=world.clocks)
    for index in range(2000):
        device_ns, received_ns = world.packet(START_NS + index * S // 30)
        source.stamp_ns(metadata(0, index, device_ns), received_ns, "color")
    (group,) = source._groups.values()
    assert len(group._stamps_ns) <= 256
