"""The command line: `exconnect COMMAND`, or `python -m exconnect COMMAND`.

Each command is a function `(arguments, output) -> exit code` in a module of its own, imported when it is asked for.
What they share: `arguments` reads what was typed, `output` writes and knows the exit codes.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from exconnect.cli import arguments, signals
from exconnect.cli.output import FAILED, INTERRUPTED, Output, exit_code
from exconnect.errors import ConfigurationError, ExconnectError

# command → its function, as module:name
COMMANDS = {
    "demo": "demo:run",
    "mock": "mock:run",
    "doctor": "doctor:run",
    "time": "market:time",
    "symbols": "market:symbols",
    "ticker": "market:ticker",
    "book": "market:book",
    "history": "history:run",
    "journal": "journal:run",
    "halt": "journal:halt",
    "resume": "journal:resume",
    **dict.fromkeys(arguments.LATER, "later:not_yet"),
}


_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code. `argv`: the words behind `exconnect`; None: those of this process."""
    words = sys.argv[1:] if argv is None else list(argv)
    output = Output(is_json="--json" in words)
    try:
        with signals.as_interrupts():
            code = _run(words, output)
        output.flush()
        return code
    except BrokenPipeError:
        output.abandon()
        return FAILED
    except SystemExit as end:  # argparse, after --help
        return int(end.code or 0)


def _run(words: list[str], output: Output) -> int:
    try:
        given = arguments.parse(words)
        _listen_to_logs()
        module, _, name = COMMANDS[given.command].partition(":")
        function = getattr(import_module(f"exconnect.cli.{module}"), name)
        return int(function(given, output))
    except ExconnectError as error:
        output.failure(error.kind, error.message, said=str(error), outcome=error.outcome, code=error.code)
        return exit_code(error)
    except KeyboardInterrupt:
        output.failure("interrupted", "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours, which programs must see as a failure too
        traceback.print_exc()
        output.failure("internal_error", f"{type(error).__name__}: {error}")
        return FAILED


def _listen_to_logs() -> None:
    level = os.environ.get("EXCONNECT_LOG")
    if not level:
        return
    if level.upper() not in _LEVELS:
        raise ConfigurationError(f"EXCONNECT_LOG={level!r}: must be one of {', '.join(_LEVELS)}")
    from exconnect import enable_console_logging

    enable_console_logging(level.upper())
