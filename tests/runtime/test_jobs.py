from __future__ import annotations

import os
import threading

import pytest

from exconnect.environment import Environment
from exconnect.runtime.jobs import Jobs


@pytest.fixture
def jobs():
    jobs = Jobs(Environment(), "exconnect.toy.jobs.market")
    yield jobs
    jobs.close()


def test_making_one_starts_nothing(jobs):
    assert "exconnect.toy.jobs.market" not in [thread.name for thread in threading.enumerate()]


def test_jobs_run_in_one_thread_of_that_name(jobs):
    names, done = [], threading.Event()
    for _ in range(3):
        jobs.submit(lambda: names.append(threading.current_thread().name))
    jobs.submit(done.set)
    assert done.wait(30)
    assert names == ["exconnect.toy.jobs.market"] * 3


def test_each_when_its_time_has_come(jobs):
    order, done = [], threading.Event()
    jobs.submit(lambda: (order.append("late"), done.set()), delay=0.8)
    jobs.submit(lambda: order.append("soon"), delay=0.4)
    jobs.submit(lambda: order.append("now"))
    assert done.wait(30)
    assert order == ["now", "soon", "late"]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_a_job_that_fails_is_logged_and_the_next_one_runs(jobs, caplog, error):
    def fail():
        raise error

    done = threading.Event()
    jobs.submit(fail)
    jobs.submit(done.set)
    assert done.wait(30)
    assert error.__name__ in caplog.text


def test_a_job_may_submit_another(jobs):
    done = threading.Event()
    jobs.submit(lambda: jobs.submit(done.set))
    assert done.wait(30)


def test_after_close_nothing_runs(jobs):
    ran = []
    jobs.submit(lambda: ran.append(1), delay=5.0)
    jobs.close()
    jobs.submit(lambda: ran.append(2))
    assert "exconnect.toy.jobs.market" not in [thread.name for thread in threading.enumerate()]
    assert ran == []
    assert "exconnect.toy.jobs.market" not in [thread.name for thread in threading.enumerate()]
    jobs.close()


def test_close_before_anything_ran(jobs):
    jobs.close()
    jobs.submit(lambda: None)
    assert "exconnect.toy.jobs.market" not in [thread.name for thread in threading.enumerate()]


def test_close_from_a_job_only_signals(jobs):
    done = threading.Event()
    jobs.submit(lambda: (jobs.close(), done.set()))
    assert done.wait(30)
    jobs.close()


def test_close_does_not_wait_longer_than_it_may(jobs):
    inside, go = threading.Event(), threading.Event()
    jobs.submit(lambda: (inside.set(), go.wait(10)))
    assert inside.wait(30)
    jobs.close(timeout=0.05)
    go.set()
    jobs.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_a_thread_of_its_own_and_none_of_the_parents_jobs(jobs):
    started, ran = threading.Event(), []
    jobs.submit(started.set)
    jobs.submit(lambda: ran.append("parent"), delay=30.0)
    assert started.wait(30)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        done = threading.Event()
        jobs.submit(done.set)
        os.write(writing, b"ok" if done.wait(10) and not ran else b"no")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"ok"
    assert os.waitpid(pid, 0)[1] == 0
