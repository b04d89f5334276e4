"""Virtual time: real threads that run one at a time and change places only where they wait.

Whoever waits picks the next thread by the seed's dice and hands over to it; when nobody can go on, the clock jumps to
the next event. So one integer decides every interleaving, and a minute of waiting costs microseconds.

A `Process` stands for an operating system's: it is killed without a chance to tidy up, or stopped and continued. Its
`VirtualEnvironment` is what the code under test takes for the machine.
"""

import heapq
import random
import threading
from datetime import UTC, datetime
from functools import partial

from exconnect.environment import Environment

BEGIN_MS = 1_764_000_000_000


class Killed(BaseException):
    """The process that ran this is no more. A BaseException, so that nothing under test takes it for a failure."""


class Leaf:
    """A lock. Threads change places only while they wait, so one that is taken was held by somebody who waits."""

    def __init__(self):
        self._is_held = False

    def __enter__(self):
        if self._is_held:
            raise AssertionError("somebody waits while holding a lock")
        self._is_held = True
        return self

    def __exit__(self, *_):
        self._is_held = False


class VirtualCondition(Leaf):
    """A condition over a lock of its own. Who is not notified does not wake: a forgotten notification shows."""

    def __init__(self, timeline):
        super().__init__()
        self._timeline = timeline
        self._waiting = []

    def notify(self, count=1):
        for task in self._waiting[:count]:
            self._timeline.wake(task)

    def notify_all(self):
        self.notify(len(self._waiting))

    def wait(self, deadline):
        task = self._timeline.current
        self._waiting.append(task)
        self._is_held = False
        try:
            self._timeline.park(deadline)
        finally:
            self._waiting.remove(task)
            self._is_held = True


class Task:
    """A thread of a process."""

    __slots__ = ("ended", "has_ended", "is_parked", "name", "process", "turn", "worker")

    def __init__(self, process, name, worker):
        self.process = process
        self.name = name
        self.worker = worker
        self.turn = 0
        self.is_parked = False
        self.has_ended = False
        self.ended = []

    def is_alive(self):
        return not self.has_ended

    def join(self, timeout=None):
        timeline = self.process.timeline
        deadline = None if timeout is None else timeline.now + timeout
        while not self.has_ended and (deadline is None or timeline.now < deadline):
            self.ended.append(timeline.current)
            timeline.park(deadline)


class _Worker:
    """A thread of this machine that runs one task after the other; `baton`: it is its turn."""

    def __init__(self, idle):
        self.baton = threading.Lock()
        self.baton.acquire()
        self.run = None
        self._idle = idle
        self._thread = threading.Thread(target=self._work, name="chaos", daemon=True)
        self._thread.start()

    def _work(self):
        while True:
            self.baton.acquire()
            run, self.run = self.run, None
            if run is None:
                return
            hand_over = run()
            del run
            self._idle.append(self)
            hand_over()

    def dismiss(self):
        self.baton.release()
        self._thread.join()


_idle: list[_Worker] = []


def dismiss_workers():
    """End the threads that wait for the next timeline."""
    while _idle:
        _idle.pop().dismiss()


class Timeline:
    """The clock, what is due, and whose turn it is. Whoever makes one is its first task, in a process of its own."""

    def __init__(self, seed):
        self.now = 0.0
        self.random = random.Random(f"{seed} order")
        self.failures = []
        self.told = None  # with `--trace`: where the story is told
        self._due = []
        self._number = 0
        self._ready = []
        self.driver = Task(Process(self, "driver"), "driver", _Driver())
        self.current = self.driver

    def tell(self, *words):
        if self.told is not None:
            self.told(f"{self.now:9.3f} {self.current.process.identity:12} {self.current.name:28}", *words)

    def at(self, time, act):
        """Call `act` at that time, in whatever thread then has the turn: it must not wait."""
        self._number += 1
        heapq.heappush(self._due, (max(time, self.now), self._number, act))

    def after(self, seconds, act):
        self.at(self.now + seconds, act)

    def park(self, deadline=None):
        """Let others run until somebody wakes this task, or the deadline comes.

        Raises:
            Killed: its process is dead.
        """
        task = self.current
        if task.process.is_dead:
            raise Killed
        task.turn += 1
        task.is_parked = True
        if deadline is not None:
            self.at(deadline, partial(self._time_is_up, task, task.turn))
        chosen = self._choose()
        if chosen is not task:
            chosen.worker.baton.release()
            task.worker.baton.acquire()
        self.current = task
        if task.process.is_dead:
            raise Killed

    def sleep(self, seconds):
        """Wait, whoever wakes."""
        until = self.now + seconds
        while self.now < until:
            self.park(until)

    def wake(self, task):
        """Make it ready to run again."""
        if task.is_parked:
            task.is_parked = False
            (task.process.held if task.process.is_stopped else self._ready).append(task)

    def spawn(self, process, name, run):
        """A new task, ready to run."""
        worker = _idle.pop() if _idle else _Worker(_idle)
        task = Task(process, name, worker)
        worker.run = partial(self._run, task, run)
        task.is_parked = True
        process.tasks.append(task)
        self.wake(task)
        return task

    def _run(self, task, run):
        self.current = task
        try:
            if not task.process.is_dead:
                run()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever ends a thread is for the judge
            self.failures.append(f"thread {task.name} died of {type(error).__name__}: {error}")
        task.has_ended = True
        task.process.tasks.remove(task)
        for waiting in task.ended:
            self.wake(waiting)
        return self._hand_over

    def _hand_over(self):
        self._choose().worker.baton.release()

    def _time_is_up(self, task, turn):
        if task.turn == turn:
            self.wake(task)

    def _choose(self):
        while True:
            ready = self._ready
            if ready:
                return ready.pop(self.random.randrange(len(ready)) if len(ready) > 1 else 0)
            if not self._due:
                raise RuntimeError("nobody can go on, and nothing is due")
            time, _, act = heapq.heappop(self._due)
            self.now = max(self.now, time)
            act()


class _Driver:
    """The thread that the timeline was made in."""

    def __init__(self):
        self.baton = threading.Lock()
        self.baton.acquire()


class Process:
    """What an operating system calls one. `skew_ms`: by how much its wall clock is wrong; `slept`: suspended time."""

    def __init__(self, timeline, identity):
        self.timeline = timeline
        self.identity = identity
        self.tasks = []
        self.held = []
        self.is_dead = False
        self.is_stopped = False
        self.stops = 0
        self.is_taken_for_dead = False
        self.skew_ms = 0
        self.slept = 0.0

    def kill(self):
        """End it where it stands: no handler, no `finally` of it changes anything any more (see `crash`)."""
        self.is_dead, self.is_stopped = True, False
        for task in [*self.tasks, *self.held]:
            self.timeline.wake(task)
        self.timeline._ready += self.held
        self.held = []

    def stop(self):
        """As SIGSTOP does."""
        self.is_stopped = True
        self.stops += 1
        ready = self.timeline._ready
        self.held = [task for task in ready if task.process is self]
        self.timeline._ready = [task for task in ready if task.process is not self]

    def go_on(self):
        """As SIGCONT does."""
        if self.is_stopped:
            self.is_stopped = False
            self.timeline._ready += self.held
            self.held = []

    def spawn(self, name, run):
        return self.timeline.spawn(self, name, run)


class VirtualEnvironment(Environment):
    """The machine, as a process sees it."""

    def __init__(self, process, seed):
        self.process = process
        self._timeline = process.timeline
        self._random = random.Random(f"{seed} {process.identity}")

    def now(self):
        return 1000.0 + self._timeline.now - self.process.slept

    def wall_ms(self):
        return BEGIN_MS + int(self._timeline.now * 1000) + self.process.skew_ms

    def wall(self):
        return datetime.fromtimestamp(self.wall_ms() / 1000, UTC)

    def sleep(self, seconds):
        if self.process.is_dead:
            raise Killed
        self._timeline.sleep(seconds)

    def wait_for(self, condition, ready, timeout):
        timeline = self._timeline
        deadline = None if timeout is None else timeline.now + timeout
        while not ready():
            if deadline is not None and timeline.now >= deadline:
                return False
            condition.wait(deadline)
        return True

    def uniform(self, low, high):
        return self._random.uniform(low, high)

    def token(self, size):
        return self._random.randbytes(size)

    def spawn(self, name, run):
        if self.process.is_dead:
            raise Killed
        return self.process.spawn(name, run)

    def lock(self):
        return Leaf()

    def condition(self):
        return VirtualCondition(self._timeline)
