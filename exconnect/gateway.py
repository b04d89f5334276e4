"""The one road out: admit, wait, stamp, sign, announce, send, learn, judge, decode.

A call is a value and runs in its caller's thread. What may be repeated is repeated within the deadline, what may
not never is (`resilience.retry`); whatever ends a call says whether anything can have been executed.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from exconnect.environment import Environment
from exconnect.errors import (
    Banned,
    CircuitOpen,
    ExconnectError,
    MalformedMessage,
    OutcomeUnknown,
    TransportError,
    WouldExceedLimit,
)
from exconnect.metrics import Metrics
from exconnect.protocol.call import (
    Call,
    Failure,
    FailureKind,
    Lane,
    Params,
    Replay,
    Request,
    Response,
    Security,
    Usage,
)
from exconnect.protocol.exchange import Exchange
from exconnect.protocol.patience import is_credible
from exconnect.protocol.signing import Signer
from exconnect.resilience.breaker import Admission, CircuitBreaker, PartState
from exconnect.resilience.clock import FRESH_S, MAX_AGE_S, Clock
from exconnect.resilience.ratelimit import Grant, RateLimiter
from exconnect.resilience.retry import Action, decide
from exconnect.transport.failures import Lost, NotSent

T = TypeVar("T")

_log = logging.getLogger("exconnect.rest")
_budget_log = logging.getLogger("exconnect.budget")

BURST = 5  # samples of the exchange's clock, when nothing is known
_SPARE = 2  # of a burst, samples that may fail
_SAMPLE_S = 3.0
_READ_WINDOW_MS, _CANCEL_WINDOW_MS = 5_000, 10_000
_LEAST_WINDOW_MS, _MOST_WINDOW_MS = 1_500, 5_000
_LIMITED_S, _BANNED_S = 10.0, 120.0  # where the exchange does not say for how long
_MOMENT_S = 5.0  # a budget of one kind that is there again so soon is used up, which is no failure
_PARTS = {
    Lane.CANCEL: "cancel",
    Lane.PLACE: "place",
    Lane.QUERY: "reads",
    Lane.STREAM: "reads",
    Lane.MARKET: "market",
    Lane.HISTORY: "market",
}
# Of the time that is left, the part that one attempt may take: what may be repeated must find time for that.
_SHARE = {Replay.NEVER: 1.0, Replay.SAFE: 0.5, Replay.ABSOLUTE: 0.34}
_LEAST_ATTEMPT_S = 1.0
_UNCERTAIN = frozenset({FailureKind.LOST, FailureKind.SERVER})
_UNTRIED = frozenset({FailureKind.LOCAL, FailureKind.LIMIT, FailureKind.CLOCK})  # says nothing of earlier attempts
_BROKEN = frozenset({FailureKind.LOCAL, FailureKind.LOST, FailureKind.SERVER})
# What decoding a body that is not what was expected can end in. Not `Exception`: a task's soft time limit is one.
_UNDECODABLE = (
    MalformedMessage,
    msgspec.MsgspecError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Sender(Protocol):
    """What carries a request: `transport.http.Http`."""

    host: str

    def send(self, request: Request, *, timeout: float, lane: Lane, max_body: int) -> Response:
        """One request, one answer."""


class Attempt(Struct, frozen=True):
    """What is about to leave. `params` are without key and signature; times are the exchange's, in ms.

    `timestamp_ms`, `recv_window_ms` and `expires_ms` (from then on the exchange refuses it) are None when the
    call is not signed.
    """

    operation: str
    symbol: str | None
    client_order_id: str | None
    number: int
    timestamp_ms: int | None
    recv_window_ms: int | None
    expires_ms: int | None
    host: str
    params: Params


BeforeSend = Callable[[Attempt], object]


class _Done(Struct, Generic[T], frozen=True):
    value: T


class _Trip(Struct, Generic[T]):
    """One call on its way, over all its attempts."""

    call: Call[T]
    deadline: float
    number: int = 0
    seen: Counter[FailureKind] = field(default_factory=Counter)
    failed: ExconnectError | None = None  # what the attempt before this one met

    @property
    def is_uncertain(self) -> bool:
        """Whether an attempt so far may have changed something."""
        return self.call.replay is not Replay.SAFE and any(kind in _UNCERTAIN for kind in self.seen)


class Gateway:
    """The road to one exchange for one account.

    `signer` is asked on the first signed call. Clock, limiter and breaker may be shared with other gateways.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        env: Environment,
        http: Sender,
        limiter: RateLimiter,
        breaker: CircuitBreaker,
        clock: Clock,
        metrics: Metrics,
        account: str,
        signer: Callable[[], Signer],
        recv_window_ms: int | None = None,
    ) -> None:
        self._exchange = exchange
        self._env = env
        self._http = http
        self._limiter = limiter
        self._breaker = breaker
        self._clock = clock
        self._metrics = metrics
        self._account = account
        self._make_signer = signer
        self._signer: Signer | None = None
        self._recv_window_ms = recv_window_ms
        self._round_trips: deque[float] = deque(maxlen=100)
        self._auth = CircuitBreaker(env)
        self._syncing = env.condition()
        self._samplers: set[Lane] = set()  # lanes in which somebody asks for the time just now

    # ------------------------------------------------------------ for callers

    def execute(self, call: Call[T], timeout: float, before_send: BeforeSend | None = None) -> T:
        """The answer to a call within `timeout` seconds, waiting and repetitions included.

        `before_send` is called right before each attempt leaves; what it raises passes through, and nothing is sent
        any more: an attempt before may have been executed, then that is what the caller hears.

        Raises:
            ExchangeError: the exchange said no.
            OutcomeUnknown: it may have been executed, and no answer says whether.
            TransportError: never sent, or a read that failed.
            MalformedMessage: the answer to a read makes no sense.
            CircuitOpen: not tried, too many failures.
            WouldExceedLimit: not tried, no budget before the deadline.
            ConfigurationError: a signed call without credentials.
        """
        trip = _Trip(call, self._env.now() + timeout)
        self._metrics.count("calls", operation=call.operation)
        while True:
            trip.number += 1
            try:
                result = self._attempt(trip, before_send)
            except ExconnectError as error:
                self._refused_here(trip, error)
            if isinstance(result, _Done):
                return result.value
            self._after(trip, result)

    def server_now_ms(self) -> int:
        """The exchange's clock; this machine's while that is not known."""
        known = self._clock.now_ms(self._env.now())
        return self._env.wall_ms() if known is None else known

    def sync_clock(self, timeout: float) -> None:
        """Ask the exchange for the time until its clock is known well.

        Raises:
            TransportError: it cannot be asked.
        """
        self._sync(self._env.now() + timeout, Lane.QUERY, BURST)

    def parts(self) -> dict[str, PartState]:
        """How the breaker sees `"place"`, `"cancel"`, `"reads"`, `"market"` and `"auth"`, as far as they were used.

        `"limits"` is there from when the exchange first said stop.
        """
        limits = self._limiter.state(self._account, self._env.now())
        return self._breaker.parts() | self._auth.parts() | ({} if limits is None else {"limits": limits})

    def held_back(self) -> frozenset[str]:
        """The parts of which calls wait because the exchange said stop."""
        holds = self._limiter.holds(self._account, self._env.now())
        if any(hold.kind is None for hold in holds):
            return frozenset(_PARTS.values())
        return frozenset(_PARTS[hold.lane] for hold in holds)

    def stopped_for(self) -> float:
        """Seconds for which the exchange wants to hear nothing at all."""
        now = self._env.now()
        return max(
            (hold.until - now for hold in self._limiter.holds(self._account, now) if hold.kind is None), default=0
        )

    def stop(self, seconds: float, cause: str) -> None:
        """The exchange said stop on another road, where the same limits count."""
        self._limiter.ban(seconds, self._env.now(), cause=cause)
        self._metrics.count("rate_limited")
        _budget_log.warning("%s: nothing is sent for %.1f s", cause, seconds)

    # ------------------------------------------------------------ one attempt

    def _attempt(self, trip: _Trip[T], before_send: BeforeSend | None) -> _Done[T] | Failure:
        call, part = trip.call, _PARTS[trip.call.lane]
        is_signed = call.security is Security.SIGNED
        probes: list[tuple[CircuitBreaker, str]] = []
        try:
            self._admit(trip, part, probes)
            if is_signed:
                self._own_signer()
                try:
                    self._freshen(trip)
                except TransportError as error:  # what keeps the question for the time here keeps the call here
                    unasked = Failure(FailureKind.LOCAL, error)
                    self._record(part, unasked, is_signed=True)
                    return unasked
            grant = self._acquire(trip)
            try:
                request, attempt = self._prepared(trip)
                if before_send is not None:
                    before_send(attempt)
            except BaseException:
                self._limiter.cancel(grant)
                raise
            result = self._sent(trip, request, grant)
            self._record(part, result, is_signed=is_signed)
        finally:
            for breaker, name in probes:  # whatever came of it: an answer that is lost says nothing of the key
                breaker.release(name)
        return result

    def _admit(self, trip: _Trip[Any], part: str, probes: list[tuple[CircuitBreaker, str]]) -> None:
        """Ask the breakers; those for whom the call is the probe go to `probes`."""
        call = trip.call
        if (
            call.security is Security.SIGNED
            and call.lane is not Lane.CANCEL
            and self._auth.admit("auth", self._env.now()) is Admission.PROBE
        ):
            probes.append((self._auth, "auth"))
        while self._breaker.admit(part, self._env.now()) is Admission.PROBE:
            if call.replay is not Replay.NEVER:
                probes.append((self._breaker, part))
                return
            self._probe(trip, part)

    def _probe(self, trip: _Trip[Any], part: str) -> None:
        """Find out by a question for the time whether the exchange is back: a real order is no probe."""
        cause = None
        try:
            self._sample(trip.deadline, trip.call.lane)
        except TransportError as error:
            cause = error.message
        except BaseException:
            self._breaker.release(part)
            raise
        self._breaker.record(part, self._env.now(), cause)

    def _acquire(self, trip: _Trip[Any]) -> Grant:
        """Budget for the call, as soon as there is some.

        Raises:
            WouldExceedLimit: not before the deadline.
        """
        call, limiter, waited_since = trip.call, self._limiter, 0.0
        while True:
            version, now = limiter.version, self._env.now()
            grant = limiter.reserve(call.costs, call.lane, self._account, now, self.server_now_ms())
            if isinstance(grant, Grant):
                if waited_since:
                    self._metrics.count("waited_s", now - waited_since)
                return grant
            if now + grant > trip.deadline:
                text = f"{call.operation} was not sent: {self._lacking(call, now)} in {grant:.1f} s, after its deadline"
                raise WouldExceedLimit(text, {"retry_after": round(grant, 3)})
            waited_since = waited_since or now
            _budget_log.debug("%s waits up to %.2f s for budget", call.operation, grant)
            self._rest(version, grant)

    def _lacking(self, call: Call[Any], now: float) -> str:
        kinds = {cost.kind for cost in call.costs}
        causes = [hold.cause for hold in self._limiter.holds(self._account, now) if hold.kind in {None, *kinds}]
        return f"the exchange said stop ({causes[0]}), which is over" if causes else "the rate budget frees up"

    def _settle(self, grant: Grant, usage: Usage | None, *, succeeded: bool) -> None:
        self._limiter.settle(grant, usage, succeeded=succeeded, wall_ms=self.server_now_ms())

    def _rest(self, seen: int, seconds: float) -> None:
        limiter = self._limiter
        with limiter.changed:
            self._env.wait_for(limiter.changed, lambda: limiter.version != seen, seconds)

    def _prepared(self, trip: _Trip[Any]) -> tuple[Request, Attempt]:
        """The request as it travels, signed now, after all waiting."""
        call, stamp, window, expires = trip.call, None, None, None
        if call.security is Security.SIGNED:
            stamp, window = self._stamp(trip), self._window(call)
            self._check_clock(call, window)
            expires = stamp + window
            request = self._signed(call.request, stamp, window)
        else:
            request = self._exchange.encode(call.request)
        return request, Attempt(
            call.operation,
            call.symbol,
            call.client_order_id,
            trip.number,
            stamp,
            window,
            expires,
            self._http.host,
            call.request.params,
        )

    def _own_signer(self) -> Signer:
        if self._signer is None:
            self._signer = self._make_signer()
        return self._signer

    def _signed(self, request: Request, stamp: int, window: int) -> Request:
        signer = self._own_signer()
        try:
            return self._exchange.sign(request, signer, stamp, window)
        except BaseException as error:
            error.__traceback__ = error.__context__ = None  # the frames below hold the secret
            raise

    def _stamp(self, trip: _Trip[Any]) -> int:
        while True:
            stamp = self._clock.timestamp_ms(self._env.now())
            if stamp is not None:
                return stamp
            self._freshen(trip)  # the machine slept while the call waited

    def _window(self, call: Call[Any]) -> int:
        if self._recv_window_ms is not None:
            return self._recv_window_ms
        if call.lane is Lane.CANCEL:
            return _CANCEL_WINDOW_MS
        if call.replay is Replay.SAFE:
            return _READ_WINDOW_MS
        slowest = max(self._round_trips, default=self._clock.round_trip_s())  # of the last hundred
        wanted = 4_000 * slowest + (self._clock.error_ms or 0.0)
        return int(min(max(wanted, _LEAST_WINDOW_MS), _MOST_WINDOW_MS))

    def _sent(self, trip: _Trip[T], request: Request, grant: Grant) -> _Done[T] | Failure:
        call, env = trip.call, self._env
        sent = env.now()
        try:
            response = self._http.send(
                request, timeout=self._patience(trip, sent), lane=call.lane, max_body=call.max_body
            )
        except NotSent as error:
            self._limiter.cancel(grant)
            return Failure(FailureKind.LOCAL, TransportError(f"{call.operation} was not sent: {error}"))
        except Lost as error:
            self._settle(grant, None, succeeded=False)
            return Failure(FailureKind.LOST, TransportError(f"{call.operation} got no answer: {error}"))
        except ExconnectError:  # of this machine's making: nothing was sent
            self._limiter.cancel(grant)
            raise
        except BaseException:
            self._settle(grant, None, succeeded=False)
            raise
        took = env.now() - sent
        if call.lane <= Lane.PLACE:
            self._round_trips.append(took)
        self._metrics.timing("request_s", took, operation=call.operation)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s: HTTP %d in %.1f ms", call.operation, call.symbol or "", response.status, took * 1000)
        return self._judged(call, response, grant)

    def _patience(self, trip: _Trip[Any], now: float) -> float:
        left = trip.deadline - now
        return min(left, max(left * _SHARE[trip.call.replay], _LEAST_ATTEMPT_S))

    def _judged(self, call: Call[T], response: Response, grant: Grant) -> _Done[T] | Failure:
        usage, failure = Usage(), None
        try:
            usage = self._exchange.usage(response)
            self._limiter.learn(usage.pools)
            failure = self._exchange.error(response)
            result: _Done[T] | Failure = failure or _Done(call.decode(response))
        except _UNDECODABLE as error:
            result = _malformed(call, response, error)
        finally:  # also when a Ctrl-C ends the reading of a long answer
            self._settle(grant, usage, succeeded=failure is None)
        if isinstance(result, Failure):
            result.error.add(http_status=response.status)
            if result.kind is FailureKind.LIMIT or usage.banned or usage.retry_after is not None:
                self._heed(call, result, usage)
        return result

    def _heed(self, call: Call[Any], failure: Failure, usage: Usage) -> None:
        """The exchange said stop: nobody who shares the limiter sends until then what counts against the same limit."""
        error = failure.error
        is_banned = usage.banned or isinstance(error, Banned)
        seconds = usage.retry_after or error.retry_after or 0.0
        if not seconds or not is_credible(seconds):
            seconds = _BANNED_S if is_banned else _LIMITED_S
        error.details["retry_after"] = seconds
        # A pool that this call takes nothing from would not hold it back: then it is the address.
        kind = None if is_banned or usage.exhausted not in {cost.kind for cost in call.costs} else usage.exhausted
        spread = self._env.uniform(0.0, min(1.0, seconds / 10))  # so that not all programs come back at once
        self._limiter.ban(
            seconds + spread,
            self._env.now(),
            kind=kind,
            account=self._account,
            lane=call.lane,
            cause=None if kind is not None and seconds <= _MOMENT_S else f"{call.operation}: {error.message}",
        )
        self._metrics.count("rate_limited")
        what = "nothing" if kind is None else f"nothing that counts as {kind}"
        _budget_log.warning("%s: %s is sent for %.1f s", "banned" if is_banned else "rate limited", what, seconds)

    def _record(self, part: str, result: _Done[Any] | Failure, *, is_signed: bool) -> None:
        now = self._env.now()
        failure = result if isinstance(result, Failure) else None
        is_broken = failure is not None and failure.kind in _BROKEN
        self._breaker.record(part, now, failure.error.message if failure is not None and is_broken else None)
        if is_signed and not is_broken:
            is_refused = failure is not None and failure.kind is FailureKind.AUTH
            self._auth.record("auth", now, "key or signature refused" if is_refused else None)

    # ------------------------------------------------------------ between attempts

    def _after(self, trip: _Trip[Any], failure: Failure) -> None:
        """Make ready for another attempt, or end the call."""
        kind = failure.kind
        trip.seen[kind] += 1
        trip.failed = failure.error
        decision = decide(trip.call.replay, kind, trip.seen[kind])
        left = trip.deadline - self._env.now()
        if decision.action is Action.REPEAT:
            pause = self._env.uniform(0.0, decision.pause)
            if pause >= left:
                self._give_up(trip, failure)
            self._env.sleep(pause)
        elif decision.action is Action.WAIT:
            if (failure.error.retry_after or 0.0) > left:
                self._give_up(trip, failure)
        elif decision.action is Action.RESYNC:
            self._clock.forget()  # the next attempt asks for the time first
        else:
            self._give_up(trip, failure)
        self._metrics.count("retries", operation=trip.call.operation)
        _log.info("%s: again after %s", trip.call.operation, failure.error.message)

    def _give_up(self, trip: _Trip[Any], failure: Failure) -> NoReturn:
        error = self._described(trip, failure.error)
        if failure.kind in _UNCERTAIN and trip.call.replay is not Replay.SAFE:
            raise self._unknown(trip, error) from error
        if trip.is_uncertain:
            if failure.kind in _UNTRIED:
                raise self._unknown(trip, error) from error
            # A definite no to a repetition may be the echo of an earlier attempt that was executed.
            error.add(uncertain=True)
        raise error

    def _refused_here(self, trip: _Trip[Any], error: ExconnectError) -> NoReturn:
        if isinstance(error, CircuitOpen | WouldExceedLimit | TransportError):
            self._described(trip, error)
        if trip.is_uncertain:
            raise self._unknown(trip, error) from error
        if isinstance(error, CircuitOpen) and trip.failed is not None:
            # It was tried, until the breaker had seen enough: what it met says more.
            raise self._described(trip, trip.failed).add(retry_after=error.retry_after) from error
        raise error

    def _unknown(self, trip: _Trip[Any], cause: ExconnectError) -> OutcomeUnknown:
        self._metrics.count("outcome_unknown")
        call = trip.call
        advice = "do not send it again" if call.replay is Replay.NEVER else "sending it again is safe"
        text = f"{call.operation} may have been executed, {advice}: {cause.message}"
        error = OutcomeUnknown(text).add(code=cause.code, http_status=cause.http_status, request_id=cause.request_id)
        self._described(trip, error)
        return error

    def _described(self, trip: _Trip[Any], error: ExconnectError) -> ExconnectError:
        call = trip.call
        return error.add(
            exchange=self._exchange.name,
            operation=call.operation,
            symbol=call.symbol,
            client_order_id=call.client_order_id,
        )

    # ------------------------------------------------------------ the clock

    def _freshen(self, trip: _Trip[Any]) -> None:
        """Know the exchange's clock well enough to sign. Orders and cancels do not wait for a better sample.

        Raises:
            TransportError: it is not known and cannot be asked.
        """
        lane, clock = trip.call.lane, self._clock
        if not clock.is_fresh(self._env.now(), MAX_AGE_S):
            self._sync(trip.deadline, lane, BURST, MAX_AGE_S)
        elif lane > Lane.PLACE and not clock.is_fresh(self._env.now(), FRESH_S):
            with suppress(TransportError, WouldExceedLimit):  # what is known will do
                self._sync(trip.deadline, lane, 1, FRESH_S)

    def _check_clock(self, call: Call[Any], window: int) -> None:
        error = self._clock.error_ms or 0.0
        if call.lane is Lane.PLACE and error > window / 2:
            raise TransportError(f"{call.operation} was not sent: the exchange's clock is only known to {error:.0f} ms")

    def _sync(self, deadline: float, lane: Lane, samples: int, within: float | None = None) -> None:
        """Take samples, one thread at a time; whoever waited for another one's is content with those.

        A cancel waits for no read here either, which may be waiting for budget: each waits for those that go first.
        """
        lane = min(lane, Lane.QUERY)

        def is_free() -> bool:
            return all(other > lane for other in self._samplers)

        with self._syncing:
            while not is_free():
                if not self._env.wait_for(self._syncing, is_free, max(deadline - self._env.now(), 0.0)):
                    raise TransportError("not sent: the exchange's clock is still being synced")
                if within is not None and self._clock.is_fresh(self._env.now(), within):
                    return
            self._samplers.add(lane)
        try:
            self._take(deadline, lane, samples)
        finally:
            with self._syncing:
                self._samplers.discard(lane)
                self._syncing.notify_all()

    def _take(self, deadline: float, lane: Lane, samples: int) -> None:
        good, failures = 0, 0
        failure = TransportError("not sent: no time left to sync the clock")
        while good < samples and failures <= _SPARE * (samples > 1) and self._env.now() < deadline:
            try:
                self._sample(deadline, lane)
                good += 1
            except TransportError as error:
                failure = error
                failures += 1
        if not good:
            raise failure

    def _sample(self, deadline: float, lane: Lane) -> None:
        """Ask for the time once, on the connections that orders take, and with the budget of what waits for it.

        Raises:
            TransportError: no usable answer.
        """
        call = msgspec.structs.replace(self._exchange.rest.time(), lane=min(lane, Lane.QUERY))
        trip = _Trip(call, deadline)
        grant = self._acquire(trip)
        sent = self._env.now()
        try:
            response = self._http.send(
                self._exchange.encode(call.request),
                timeout=min(max(deadline - sent, 0.001), _SAMPLE_S),
                lane=Lane.PLACE,
                max_body=call.max_body,
            )
        except (NotSent, Lost) as error:
            self._settle(grant, None, succeeded=False)
            raise TransportError(f"the exchange does not tell the time: {error}") from None
        except BaseException:
            self._settle(grant, None, succeeded=False)
            raise
        received = self._env.now()
        result = self._judged(call, response, grant)
        if isinstance(result, Failure):
            text = f"the exchange does not tell the time: {result.error.message}"
            raise TransportError(text).add(retry_after=result.error.retry_after, http_status=response.status)
        self._clock.add(sent, received, result.value)


def _malformed(call: Call[Any], response: Response, error: Exception) -> Failure:
    text = response.body[:200].decode("utf-8", "replace")
    words = error.message if isinstance(error, ExconnectError) else f"{type(error).__name__}: {str(error)[:100]}"
    message = f"the answer to {call.operation} makes no sense ({words})"
    return Failure(FailureKind.LOST, MalformedMessage(message, {"text": text}))
