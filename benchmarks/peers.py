"""Other people's clients, unmodified, each in a virtual environment of its own under .venv-peers.

python benchmarks/peers.py ccxt pybit     makes what is missing, prints {"ccxt": ".../bin/python", ...}
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-peers"
OURS = "exconnect"

REQUIREMENTS = {
    "binance-connector": ["binance-connector==3.13.0"],
    "binance-sdk-spot": ["binance-sdk-spot==13.3.0"],
    "ccxt": ["ccxt==4.5.90"],
    "cryptofeed": ["cryptofeed==2.4.1"],  # the last that installs on Python 3.11
    "pybit": ["pybit==5.17.0"],
    "python-binance": ["python-binance==1.0.37"],
    "unicorn-binance-websocket-api": ["unicorn-binance-websocket-api==2.16.1"],
    # Without any extra, so that its import is what a user of the plain package pays.
    OURS: ["--editable", str(ROOT)],
}


def interpreter(name: str) -> str:
    """The Python of a peer's environment, which is made if it is missing or holds another version.

    Raises:
        CalledProcessError: the peer does not install here.
    """
    venv = HOME / name
    python, stamp, wanted = venv / "bin" / "python", venv / ".made", _stamp(name)
    if not stamp.exists() or stamp.read_text() != wanted:
        sys.stderr.write(f"setting up {venv.relative_to(ROOT)}\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *REQUIREMENTS[name]], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return str(python)


def _stamp(name: str) -> str:
    """What an environment must have been made from to be used again."""
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest() if name == OURS else ""
    return "\n".join([sys.version, *REQUIREMENTS[name], project])


def interpreters(names: list[str]) -> dict[str, str]:
    """Name → Python of those that install here; the others are named on stderr."""
    found = {}
    for name in names:
        try:
            found[name] = interpreter(name)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{name} does not install here: {error}\n")
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(interpreters(sys.argv[1:] or sorted(REQUIREMENTS))) + "\n")
