"""ccxt and ccxt.pro on Bybit."""

from __future__ import annotations

from typing import Any

import ccxt
import ccxt.pro
import peer_ccxt

PAIR = peer_ccxt.PAIR


class Peer(peer_ccxt.Peer):
    exchange = "bybit"
    rest, pro = ccxt.bybit, ccxt.pro.bybit

    def settings(self) -> dict[str, Any]:
        rest = dict.fromkeys(("spot", "futures", "v2", "public", "private"), self.rest_url)
        sockets = {"public": {"spot": f"{self.stream_url}/v5/public/spot"},
                   "private": {"contract": f"{self.private_url}/v5/private"}}  # fmt: skip
        return {
            "apiKey": self.key,
            "secret": self.secret,
            "urls": {"api": {**rest, "ws": sockets}},
            "options": {"fetchMarkets": {"types": ["spot"]}},
        }
