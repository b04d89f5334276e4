"""A copy of the package and its contracts, to be spoilt or to be built on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_logo=True, cache_dir=None))"


class House:
    """The copy in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "exconnect"
        shutil.copytree(ROOT / "exconnect", self.package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "setup.cfg", folder)

    def add(self, file: str, line: str) -> None:
        path = self.package / file
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as text:
            text.write(f"\n{line}\n")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """A script in a process of its own, in which this copy is the package."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        environ |= {"PYTHONPATH": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)

    def lint(self) -> tuple[int, dict[str, bool], str]:
        """The exit code, contract name → kept, and what was printed."""
        run = self.run(LINT)
        verdicts = re.findall(r"^(\S.*) (KEPT|BROKEN)\b", run.stdout, re.MULTILINE)
        return run.returncode, {name: verdict == "KEPT" for name, verdict in verdicts}, run.stdout + run.stderr


@pytest.fixture
def house(tmp_path) -> House:
    return House(tmp_path / "house")
