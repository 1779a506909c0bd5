"""Turns, rounds, and the pauses between the threads of different libraries."""

import os
import time

import pytest
import torch

from unrolled.bench import timing
from unrolled.bench.peak import Peak, burst, measure
from unrolled.bench.sides import Side
from unrolled.bench.threads import choose, held_to
from unrolled.bench.timing import Times, race, wait_until_quiet


class World:
    """A clock that only runs of sides, and waits, move."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def side(self, name, seconds, pool="torch"):
        def run():
            self.now += seconds
            self.log.append(name)

        return Side(name, run, lambda _: {}, pool)

    def race(self, sides, seconds):
        return race(sides, seconds, clock=lambda: self.now, wait=lambda: self.log.append("wait"))


def turns(log):
    """The names in the order of their turns."""
    return [name for place, name in enumerate(log) if place == 0 or log[place - 1] != name]


def test_sides_take_turns_in_an_order_that_turns_round():
    world = World()
    samples = world.race([world.side("a", 1.0), world.side("b", 2.0), world.side("c", 3.0)], 0)
    assert turns(world.log) == ["a", "b", "c", "b", "a", "b", "c"]  # a turn after one's own goes on
    assert [len(each) for each in samples] == [timing.LEAST_ROUNDS] * 3
    assert samples[1] == [2.0] * 3


def test_rounds_are_added_until_the_time_is_up():
    world = World()
    a, b = world.race([world.side("a", 1.0), world.side("b", 1.0)], 20.0)
    assert 9 <= len(a) == len(b) <= 11
    assert world.now == pytest.approx(22, abs=2)


def test_short_runs_come_in_a_row_led_in_by_one_that_is_not_counted():
    world = World()
    (samples,) = world.race([world.side("a", 0.001)], 0)
    assert len(samples) == 20 * timing.LEAST_ROUNDS
    assert len(world.log) == 21 * timing.LEAST_ROUNDS
    world = World()
    (samples,) = world.race([world.side("a", 1e-6)], 0)
    assert len(samples) == timing.MOST * timing.LEAST_ROUNDS


def test_other_peoples_threads_come_to_rest_first():
    world = World()
    sides = [world.side("a", 1.0), world.side("b", 1.0), world.side("o", 1.0, "onnxruntime")]
    world.race(sides, 0)
    assert "".join(name[0] for name in turns(world.log)) == "abwowbabwo"
    assert world.log.count("wait") == 3


def test_waiting_ends_when_the_process_is_quiet(monkeypatch):
    used = iter([0.0, 0.004, 0.004, 0.008, 0.008, 0.0081, 9, 9])
    monkeypatch.setattr(time, "process_time", lambda: next(used))
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    wait_until_quiet()
    assert slept == [timing.SLICE] * 3


def test_waiting_gives_up(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "process_time", lambda: float(next(ticks)))
    monkeypatch.setattr(timing, "PATIENCE", 0.02)
    began = time.perf_counter()
    wait_until_quiet()
    assert 0.02 <= time.perf_counter() - began < 1


def test_times():
    assert Times.of([3.0, 1.0, 2.0, 10.0]) == Times(1.0, 2.5, 4)
    assert Times.of([200.0, 100.0], per=100) == Times(1.0, 1.5, 2)


def test_the_peak_is_measured():
    peak = measure()
    assert isinstance(peak, Peak)
    assert 0.5 < peak.one_thread < 2000  # GFLOP/s: any processor that runs PyTorch
    assert peak.all_threads >= 0.5 * peak.one_thread
    assert burst(1) < 3 * peak.one_thread


def test_threads_are_put_back():
    before, cores = torch.get_num_threads(), os.sched_getaffinity(0)
    with held_to(1):
        assert torch.get_num_threads() == 1
        assert len(os.sched_getaffinity(0)) == 1
    assert (torch.get_num_threads(), os.sched_getaffinity(0)) == (before, cores)
    with held_to(None):
        assert (torch.get_num_threads(), os.sched_getaffinity(0)) == (before, cores)


def test_two_threads_get_two_whole_cores(monkeypatch, tmp_path):
    for core, siblings in {0: "0-1", 1: "0-1", 2: "2,5", 3: "3", 5: "2,5"}.items():
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr("unrolled.bench.threads.TOPOLOGY", tmp_path)
    assert choose({0, 1, 2, 3, 5}, 2) == {0, 2}
    assert choose({0, 1, 2, 3, 5}, 3) == {0, 2, 3}
    assert choose({0, 1, 2, 3, 5}, 4) == {0, 1, 2, 3}
    assert choose({7, 8}, 1) == {7}
