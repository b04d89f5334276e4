"""Who a process is, so that another one can tell later whether it is still there."""

from __future__ import annotations

import os
from pathlib import Path


def identity() -> str:
    """Machine start, process id and process start: no later process has the same."""
    pid = os.getpid()
    return f"{_boot()} {pid} {_started(pid)}"


def is_alive(who: str) -> bool:
    """Whether the process with that `identity` still runs on this machine."""
    boot, pid, started = who.split(" ")
    if boot != _boot():
        return False
    if started != "?":
        return _started(int(pid)) == started
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "?"


def _started(pid: int) -> str:
    """Clock ticks between machine start and process start; `?` where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "gone" if Path("/proc/self/stat").exists() else "?"
    except OSError:
        return "?"
    state, *rest = stat.rpartition(")")[2].split()
    return "gone" if state in ("Z", "X") else rest[18]
