"""Several orders in one call share its time."""

from exconnect.environment import Environment
from exconnect.trading.desk import Deadline


class Told(Environment):
    at = 100.0

    def now(self):
        return self.at


def test_who_hangs_leaves_the_others_their_time():
    env = Told()
    deadline = Deadline(env, 112.0)
    assert deadline.share(3) == 4.0
    env.at = 104.0
    assert deadline.share(2) == 4.0
    env.at = 104.5
    assert deadline.share(1) == 7.5
    env.at = 113.0
    assert deadline.share(1) == 0.0
