"""Labelled places at which a process may be killed: around all that the journal writes, and around what is sent.

The labels live here and cost production nothing: the journal's methods are wrapped while a schedule runs.
"""

from contextlib import contextmanager
from functools import wraps
from inspect import isfunction

from exconnect.trading.journal import Journal

WRITES = ("intend", "attempt", "record", "take_over", "halt", "resume")
LABELS = tuple(f"{when} {name}" for name in WRITES for when in ("before", "after"))
LABELS += ("before the first byte", "after the last byte", "before the answer is read")


@contextmanager
def watched(point):
    """Call `point(journal, label)` before and after each write, `point(journal, None)` before anything else."""
    originals = {name: value for name, value in vars(Journal).items() if isfunction(value) and name[0] != "_"}
    for name, original in originals.items():
        setattr(Journal, name, _wrapped(name, original, point))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Journal, name, original)


def _wrapped(name, original, point):
    if name not in WRITES:

        @wraps(original)
        def read(journal, *args, **kwargs):
            point(journal, None)
            return original(journal, *args, **kwargs)

        return read

    before, after = f"before {name}", f"after {name}"

    @wraps(original)
    def write(journal, *args, **kwargs):
        point(journal, before)
        result = original(journal, *args, **kwargs)
        point(journal, after)
        return result

    return write
