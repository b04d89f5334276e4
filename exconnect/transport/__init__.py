"""The network: the only importers of requests and websocket-client."""
