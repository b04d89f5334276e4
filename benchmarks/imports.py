"""One adapter's cost of being there: what importing it (and for exconnect making a client and a stream) takes.

python benchmarks/imports.py ADAPTER     in the adapter's environment; prints milliseconds of CPU and MB of memory
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

ADAPTERS = {
    "exconnect": 'from exconnect import Client\nclient = Client("binance")\nstream = client.stream("BTC/USDT")',
    "pybit": "import pybit.unified_trading",
    "binance-connector": "import binance.spot, binance.websocket.spot.websocket_stream",
    "python-binance": "import binance",
    "ccxt.pro": "import ccxt.pro",
}


def resident() -> float:
    """MB of memory of this process (Linux; elsewhere nothing is said)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if statm.exists() else float("nan")


def main(name: str) -> None:
    statement = compile(ADAPTERS[name], name, "exec")
    modules, memory, began = len(sys.modules), resident(), time.process_time()
    exec(statement, {})
    took, memory, modules = time.process_time() - began, resident() - memory, len(sys.modules) - modules
    print(f'{{"cpu": {took * 1e3}, "memory": {memory}, "modules": {modules}}}')


if __name__ == "__main__":
    main(*sys.argv[1:])
