"""pytest: the fixture ``mock_exchange`` and the marker that gives it arguments.

```python
@pytest.mark.mock_exchange("binance", seed=3, activity=0)
def test_something(mock_exchange): ...
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import MockExchange

MARKER = "mock_exchange(exchange='binance', **settings): arguments of the MockExchange that the test gets"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def mock_exchange(request: pytest.FixtureRequest) -> Iterator[MockExchange]:
    """A started mock exchange, one for each test."""
    from . import MockExchange

    marker = request.node.get_closest_marker("mock_exchange")
    arguments, settings = (marker.args, marker.kwargs) if marker else ((), {})
    with MockExchange(*arguments, **settings) as exchange:
        yield exchange
