"""What can be typed behind `exconnect`."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn, TypeAlias

from exconnect.errors import InvalidArgument
from exconnect.venue.plan import available

_ACTIONS = "show: list the orders · verify: check the file · reconcile: find out what became of those without an answer"
LATER = ("stream", "record", "balance", "orders", "config", "completion")

_EPILOG = """\
exit codes: 0 done · 1 refused, failed or something found wrong · 2 usage or configuration ·
3 exchange not reachable or not available · 4 outcome of an order unknown · 130 interrupted"""


_MISSING = re.compile(r"the following arguments are required: (COMMAND|KIND|ACTION)")
_NO_CHOICE = re.compile(r"(?:argument (?P<name>.+?): )?invalid choice: '?(?P<typed>.*?)'? \(choose from (?P<all>.+)\)")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        missing = _MISSING.fullmatch(message)
        if missing is not None:
            message = f"which {missing[1].lower()}? one of {', '.join(self._names())}"
        found = _NO_CHOICE.fullmatch(message)
        if found is not None:
            message = _no_choice(found["typed"], re.findall(r"[\w-]+", found["all"]))
        raise InvalidArgument(message, {"argument": "command line"})

    def _names(self) -> list[str]:
        """What may stand behind it, of what is there."""
        return [str(name) for action in self._actions for name in action.choices or () if name not in LATER]


def _no_choice(typed: str, choices: list[str]) -> str:
    now = [choice for choice in choices if choice not in LATER]
    near = difflib.get_close_matches(typed.lower(), now, n=1)
    return f"{typed!r}: did you mean {near[0]}?" if near else f"{typed!r} is none of {', '.join(now)}"


_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001 - its type has no public name


def parse(words: list[str]) -> argparse.Namespace:
    """What was typed, with `command` and every option of that command filled in.

    Raises:
        InvalidArgument: not how the command is used; its usage is on stderr.
        SystemExit: help or the version was asked for, and printed.
    """
    return _parser().parse_args(words)


def _parser() -> _Parser:
    parser = _Parser(
        prog="exconnect",
        description="Crypto exchanges from the command line. Nothing here places an order on a real exchange.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, help="show the version and end")
    parser.set_defaults(exchange=available()[0], environment=None, timeout=None, json=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_local(commands)
    _add_market(commands)
    _add_history(commands)
    _add_journal(commands)
    for name in LATER:
        later = _add(commands, name, "(later)")
        later.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def _common() -> _Parser:
    # Without defaults of their own: what stands before the command is not forgotten when it is not repeated behind it.
    # New ones for each parser, because a parser writes its defaults into the options that it takes over.
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("common options, before or behind the command")
    group.add_argument("--exchange", metavar="NAME", help=f"which exchange ({available()[0]})")
    group.add_argument(
        "--environment",
        metavar="NAME|URL|mock",
        help="live, testnet, demo, base URLs, or mock: a mock exchange, started for this command",
    )
    group.add_argument("--timeout", metavar="S", type=float, help="seconds that one call may take (12)")
    group.add_argument("--json", action="store_true", help="the last line of stdout is one JSON object")
    return common


def _add(commands: _Commands, name: str, text: str) -> _Parser:
    return commands.add_parser(name, help=text, description=text, parents=[_common()], allow_abbrev=False)


def _add_local(commands: _Commands) -> None:
    demo = _add(commands, "demo", "live books, orders and a lost connection, on a mock exchange")
    demo.add_argument("--seconds", metavar="N", type=float, default=10.0, help="how long (10)")
    demo.add_argument("--seed", metavar="N", type=int, default=7, help="the same number gives the same market (7)")
    mock = _add(commands, "mock", "serve a mock exchange until SIGINT or SIGTERM")
    mock.add_argument("--port", metavar="N", type=int, default=0, help="0: any that is free (0)")
    mock.add_argument("--seed", metavar="N", type=int, default=0, help="the same number gives the same market (0)")
    mock.add_argument("--activity", metavar="X", type=float, default=20.0, help="events per second and symbol (20)")
    mock.add_argument("--clock-offset", metavar="X", type=float, default=0.0, help="seconds its clock is ahead (0)")
    mock.add_argument(
        "--fault",
        metavar="NAME,key=value,…",
        action="append",
        default=[],
        help="what shall go wrong, as in faults.add(): reset,on=place_order,times=3 (may be repeated)",
    )
    _add(commands, "doctor", "look at this machine, the way to the exchange and the key; say what to do")


def _add_market(commands: _Commands) -> None:
    _add(commands, "time", "the exchange's clock beside this machine's")
    _add(commands, "symbols", "what is listed")
    ticker = _add(commands, "ticker", "best prices and the last 24 hours")
    ticker.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    book = _add(commands, "book", "the order book")
    book.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    book.add_argument("--depth", metavar="N", type=int, default=10, help="levels a side (10)")
    book.add_argument("--watch", action="store_true", help="live, one line per change, until SIGINT or SIGTERM")


def _add_history(commands: _Commands) -> None:
    history = _add(commands, "history", "download history into a file; run again, it goes on")
    kinds = history.add_subparsers(dest="kind", metavar="KIND", required=True, parser_class=_Parser)
    candles = _add(kinds, "candles", "every closed candle of a symbol, oldest first")
    candles.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    candles.add_argument("--out", metavar="FILE", required=True, help=".csv, or .parquet (extra `frame`)")
    candles.add_argument("--interval", default="1m", help="1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 12h 1d 1w 1M (1m)")
    candles.add_argument("--start", metavar="S", help="from here on, like 2026-01-01 (a new file: the first there is)")
    candles.add_argument("--end", metavar="S", help="up to here, without it (now)")


def _add_journal(commands: _Commands) -> None:
    journal = _add(commands, "journal", "what is written down of orders")
    journal.add_argument("action", metavar="ACTION", choices=("show", "verify", "reconcile"), help=_ACTIONS)
    journal.add_argument("--file", metavar="PATH", help="the journal's file")
    halt = _add(commands, "halt", "from now on no process of this account places orders")
    halt.add_argument("--reason", metavar="TEXT", default="", help="why, for those who wonder")
    _add(commands, "resume", "end a halt")


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **options: object) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=str(options["help"]))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser._print_message(f"exconnect {version('exconnect')}\n", sys.stdout)  # noqa: SLF001 - argparse's own way
        parser.exit()
