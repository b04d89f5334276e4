"""The engine does not know which exchanges there are: their names stand in their folders and in the registry."""

from pathlib import Path

import exconnect
from exconnect import available

ROOT = Path(exconnect.__file__).parent


def test_no_exchange_is_named_in_the_engine():
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] not in ("exchanges", "mock")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(name in line.lower() for name in available())
    ]
    assert named == []


def test_the_registry_is_where_they_are_named():
    text = (ROOT / "exchanges" / "__init__.py").read_text(encoding="utf-8")
    assert all(name in text for name in available())
