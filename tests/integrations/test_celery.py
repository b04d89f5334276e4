"""What a Celery worker needs: safe retries, one client per process."""

import os

import pytest

from exconnect import ExconnectError, NotSupported, OutcomeUnknown
from exconnect.integrations import celery, django, prometheus, redis


def classes(base):
    for kind in base.__subclasses__():
        yield kind
        yield from classes(kind)


def test_retryable_is_what_says_so_of_itself_and_may_happen_to_an_order():
    assert OutcomeUnknown not in celery.RETRYABLE
    assert all(kind.retryable for kind in celery.RETRYABLE)
    left_out = {kind.__name__ for kind in classes(ExconnectError) if kind.retryable} - {
        kind.__name__ for kind in classes(ExconnectError) if issubclass(kind, celery.RETRYABLE)
    }
    assert left_out == {"MalformedMessage"}, "only an answer to a read is malformed"


def test_one_client_per_process_and_settings():
    first = celery.client_for("binance", environment="testnet")
    assert celery.client_for("binance", environment="testnet") is first
    assert celery.client_for("binance", environment="demo") is not first
    pid = os.fork()
    if pid == 0:
        os._exit(0 if celery.client_for("binance", environment="testnet") is not first else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    first.close()
    assert not celery.client_for("binance", environment="testnet").closed


@pytest.mark.parametrize(
    "call",
    [
        lambda: celery.install(None),
        django.get_client,
        lambda: django.django_handler(print),
        lambda: django.healthz(None),
        prometheus.PrometheusMetrics,
        redis.RedisSink,
        redis.RemoteStream,
    ],
)
def test_what_comes_later_says_so(call):
    with pytest.raises(NotSupported, match="later version"):
        call()
