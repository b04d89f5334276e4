"""This machine: Python, packages, where state goes, what others have patched, proxies."""

from __future__ import annotations

import os
import platform
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from exconnect.cli.doctor.check import Check
from exconnect.endpoints import is_loopback
from exconnect.venue.parts import Venue

_LEAST_PYTHON = (3, 11)
_PROXIES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")


def checks(venue: Venue) -> Iterator[Check]:
    """What can be seen without a network."""
    yield _python()
    yield _packages()
    yield _extras()
    yield _patched()
    yield _state_directory(venue)
    yield _secrets(venue)


def _python() -> Check:
    system = f"{platform.system()} {platform.release()}"
    detail = f"Python {platform.python_version()} ({platform.python_implementation()}) on {system}"
    is_new = sys.version_info >= _LEAST_PYTHON
    return Check("python", is_new, detail, "" if is_new else "exconnect needs Python 3.11 or newer")


def _requirements() -> Iterator[tuple[str, str | None, str | None]]:
    """Name, least version, extra (None: always needed)."""
    for line in metadata.requires("exconnect") or ():
        found = re.match(r"[A-Za-z0-9._-]+", line)
        least = re.search(r">=\s*([0-9][0-9.]*)", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if found is not None:
            yield found[0], least and least[1], extra and extra[1]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def is_older(version: str, least: str) -> bool:
    """Whether `version` is below `least`, by their numbers."""
    mine, needed = _numbers(version), _numbers(least)
    width = max(len(mine), len(needed))
    return mine + (0,) * (width - len(mine)) < needed + (0,) * (width - len(needed))


def _packages() -> Check:
    seen, wrong = [f"exconnect {metadata.version('exconnect')}"], []
    for name, least, extra in _requirements():
        version = _installed(name)
        if extra is None:
            seen.append(f"{name} {version or 'missing'}")
        if version is None:
            wrong += [f"{name}>={least}"] if extra is None else []
        elif least is not None and is_older(version, least):
            wrong.append(f"{name}>={least}")
    advice = f"pip install {' '.join(f'{each!r}' for each in sorted(set(wrong)))}" if wrong else ""
    return Check("packages", not wrong, ", ".join(seen), advice)


def _extras() -> Check:
    needed: dict[str, list[tuple[str, str | None]]] = {}
    for name, least, extra in _requirements():
        if extra is not None and extra != "all":
            needed.setdefault(extra, []).append((name, least))
    there = [extra for extra, packages in needed.items() if all(_installed(name) for name, _ in packages)]
    missing = [extra for extra in needed if extra not in there]
    detail = f"there: {', '.join(there) or 'none'}; not there: {', '.join(missing) or 'none'}"
    # The packages themselves, which can be had however exconnect itself was installed.
    ways = (f"{extra}: pip install {_quoted(needed[extra])}" for extra in missing)
    advice = "\n".join(["what you want of them:", *ways]) if missing else ""
    return Check("extras", True, detail, advice)


def _quoted(packages: list[tuple[str, str | None]]) -> str:
    return " ".join(f"'{name}>={least}'" if least else f"'{name}'" for name, least in packages)


def _patched() -> Check:
    import urllib3.util.ssl_

    names = [name for name in ("gevent", "eventlet") if name in sys.modules]
    if urllib3.util.ssl_.SSLContext is not ssl.SSLContext:
        detail = f"ssl was patched after urllib3 was imported ({', '.join(names) or 'by whom is not known'})"
        return Check(
            "patches", False, detail, "monkey-patch first thing in the process, before importing anything else"
        )
    return Check("patches", True, f"{', '.join(names)} loaded, ssl is of one piece" if names else "ssl is not patched")


def _state_directory(venue: Venue) -> Check:
    path = venue.plan.state_dir
    # Not made here: who only looks leaves nothing behind.
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"exconnect")
            file.flush()
    except OSError as error:
        advice = "make it writable for this user, or set EXCONNECT_STATE_DIR to a directory that is"
        return Check("state", False, f"{path} cannot be written: {error.strerror}", advice)
    return Check("state", True, f"{path} can be written" if there == path else f"{path} can be made")


def _secrets(venue: Venue) -> Check:
    credentials = venue.plan.credentials
    files = () if credentials is None else credentials.files
    shared = sorted({path for path in files if _is_shared(path)})
    if shared:
        names = " ".join(shared)
        return Check("secrets", False, f"others on this machine may read {names}", f"chmod 600 {names}")
    return Check("secrets", True, "in files, of which none of yours is open to others" if files else "in no file")


def _is_shared(path: str) -> bool:
    """Whether a file of ours is open to others; how a container's are mounted is not for us to change."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return False  # whoever reads it will say so
    is_ours = os.name == "posix" and found.st_uid == os.geteuid() and os.access(path, os.W_OK)
    return is_ours and found.st_mode & 0o077 != 0


def proxies(venue: Venue, *, is_reachable: bool) -> Check:
    """Proxies in the environment are not used unless the client is told so: a fault only when nothing else works."""
    found = [name for upper in _PROXIES for name in (upper, upper.lower()) if os.environ.get(name)]
    used = venue.proxy
    if used is not None:
        where = f"from the environment: {', '.join(found) or 'none set'}" if used == "env" else "set in the settings"
        return Check("proxies", True, where)
    if not found:
        return Check("proxies", True, "none")
    detail = f"{', '.join(found)} in the environment, not used"
    if is_reachable or is_loopback(urlsplit(venue.endpoints.rest).hostname or ""):
        return Check("proxies", True, detail)
    advice = 'the direct way does not work: give Client(proxy="env"), or proxy = "env" in the settings file'
    return Check("proxies", False, detail, advice)
