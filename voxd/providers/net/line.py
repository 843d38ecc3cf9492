"""The line to one vendor: it finds a key, an endpoint and time for every attempt, and says how it went."""

import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from voxd.clock import Clock
from voxd.errors import ProviderError, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.net import faults
from voxd.providers.net.answer import HttpAnswer
from voxd.providers.net.connection import Address, Connection, Deadlines
from voxd.providers.net.endpoint import is_near
from voxd.providers.net.http import FIRST_BYTE_S, WHOLE_S, Http, Terms
from voxd.providers.net.retry import persevere
from voxd.providers.net.stream import Stream
from voxd.providers.net.wire import Access, Answer, Budget, Call, Refused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What is configured of a line. ``kind`` is the vendor; an endpoint of "" leaves it to the adapter.

    ``headers`` are sent with every request: {uuid} is a new one each time, {unix_s} the time;
    ``more_headers`` is asked for more of them before every request.
    """

    kind: str
    keys: tuple[str, ...] = field(default=(), repr=False)
    endpoints: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    more_headers: Callable[[], Mapping[str, str]] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None
    ca_file: str = ""
    proxy: str | None = field(default=None, repr=False)


class Line:
    """A `Wire`. ``name`` is the provider's in the configuration, ``stage`` "stt", "llm" or "tts"."""

    def __init__(
        self,
        name: str,
        stage: str,
        settings: LineSettings,
        *,
        http: Http,
        emit: Emit,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.stage = stage
        self._settings = settings
        self._http = http
        self._emit = emit
        self._clock = clock
        self._jitter = jitter

    @asynccontextmanager
    async def request(
        self,
        build: Callable[[Access], Call],
        budget: Budget,
        *,
        kind: str,
        refused: Refused | None = None,
        tokens: int = 0,
        first_byte_s: float | None = None,
        whole_s: float | None = None,
    ) -> AsyncIterator[Answer]:
        """Send what ``build`` returns, as `Wire.request` says."""

        async def attempt(trial: "_Trial") -> HttpAnswer:
            call = build(trial.access)
            trial.url = self._allowed(call.url)
            terms = Terms(
                self.name,
                trial.access.key,
                refused or faults.refused,
                first_byte_s=self._within(budget, first_byte_s or FIRST_BYTE_S),
                whole_s=whole_s or WHOLE_S,
                ca_file=self._settings.ca_file,
                proxy=self._settings.proxy,
            )
            call = replace(call, headers=self._headers(call.headers))
            answer = await self._http.send(call, terms)
            trial.sent_bytes = answer.sent_bytes
            return answer

        answer, trial = await self._tried(attempt, budget, kind)
        try:
            yield answer
            await answer.finish()
        except BaseException as error:
            trial.code = _code(error)
            raise
        finally:
            await answer.close()
            trial.received_bytes = answer.received_bytes
            self._tell(trial)

    @asynccontextmanager
    async def socket(
        self,
        build: Callable[[Access], Address],
        budget: Budget,
        *,
        kind: str,
        refused: Refused | None = None,
        subprotocols: tuple[str, ...] = (),
        deadlines: Deadlines | None = None,
    ) -> AsyncIterator[Connection]:
        """Open a WebSocket to what ``build`` returns, as `Wire.socket` says."""

        async def attempt(trial: "_Trial") -> Connection:
            address = build(trial.access)
            trial.url = self._allowed(address.url)
            waits = deadlines or Deadlines()
            return await Connection.open(
                self.name,
                replace(
                    address,
                    headers=self._headers(address.headers),
                    ca_file=address.ca_file or self._settings.ca_file,
                    proxy=address.proxy or self._settings.proxy,
                    key=address.key or trial.access.key,
                ),
                replace(waits, open_s=self._within(budget, waits.open_s)),
                resolver=self._http.resolver,
                subprotocols=subprotocols,
                refused=refused or faults.refused,
            )

        connection, trial = await self._tried(attempt, budget, kind)
        try:
            yield connection
        except BaseException as error:
            trial.code = _code(error)
            raise
        finally:
            await connection.close()
            trial.sent_bytes, trial.received_bytes = connection.sent_bytes, connection.received_bytes
            self._tell(trial)

    @asynccontextmanager
    async def stream(
        self, build: Callable[[Access], str], budget: Budget, *, kind: str
    ) -> AsyncIterator[Stream]:
        """Open a TCP connection to what ``build`` returns, as `Wire.stream` says."""

        async def attempt(trial: "_Trial") -> Stream:
            trial.url = self._allowed(build(trial.access))
            within_s = self._within(budget, Deadlines().open_s)
            return await Stream.open(self.name, trial.url, resolver=self._http.resolver, within_s=within_s)

        stream, trial = await self._tried(attempt, budget, kind)
        try:
            yield stream
        except BaseException as error:
            trial.code = _code(error)
            raise
        finally:
            await stream.close()
            trial.sent_bytes, trial.received_bytes = stream.sent_bytes, stream.received_bytes
            self._tell(trial)

    def note(self, kind: str, **details: Any) -> None:
        """Log something that happened on the line, such as a reconnect; no words, no keys."""
        self._emit(E.PROVIDER_NOTE, provider=self.name, stage=self.stage, kind=kind, details=details)

    async def _tried(
        self, attempt: Callable[["_Trial"], Awaitable[T]], budget: Budget, kind: str
    ) -> "tuple[T, _Trial]":
        """Return what ``attempt`` opened, and the trial that did. Raises `ProviderError`."""

        async def once(number: int) -> "tuple[T, _Trial]":
            trial = _Trial(self._access(), number, kind, time.monotonic())
            try:
                opened = await attempt(trial)
            except BaseException as error:
                trial.code = _code(error)
                self._tell(trial)
                raise
            trial.first_byte_ms = (time.monotonic() - trial.began_s) * 1000
            return opened, trial

        try:
            return await persevere(once, budget, self._clock, jitter=self._jitter)
        except ProviderError as error:
            error.provider = self.name
            raise

    def _access(self) -> Access:
        keys, endpoints = self._settings.keys, self._settings.endpoints
        return Access(endpoints[0] if endpoints else "", keys[0] if keys else "")

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return ``headers`` with the configured ones, which win."""
        settings = self._settings
        ours = {**settings.headers, **(settings.more_headers() if settings.more_headers else {})}
        names = {name.lower() for name in ours}
        kept = {name: value for name, value in headers.items() if name.lower() not in names}
        return {**kept, **{name: self._filled(value) for name, value in ours.items()}}

    def _filled(self, value: str) -> str:
        return value.replace("{uuid}", str(uuid.uuid4())).replace("{unix_s}", str(int(self._clock.wall())))

    def _within(self, budget: Budget, limit_s: float) -> float:
        if budget.until_s is None:
            return limit_s
        return max(min(limit_s, budget.until_s - self._clock.monotonic()), 0.0)

    def _allowed(self, url: str) -> str:
        """Return ``url``. Raises `ProviderError` when it would send a key across the internet in clear."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise faults.misled(self.name, "it is no URL") from None
        if parts.scheme in {"http", "ws", "tcp"} and not is_near(parts.hostname or ""):
            raise faults.misled(self.name, "the endpoint is not encrypted: write it as https:// or wss://")
        return url

    def _tell(self, trial: "_Trial") -> None:
        self._emit(
            E.PROVIDER_CALL,
            provider=self.name,
            stage=self.stage,
            kind=trial.kind,
            endpoint=urlsplit(trial.url).hostname or "",
            key=trial.key,
            attempt=trial.attempt,
            code=trial.code,
            first_byte_ms=trial.first_byte_ms,
            duration_ms=(time.monotonic() - trial.began_s) * 1000,
            sent_bytes=trial.sent_bytes,
            received_bytes=trial.received_bytes,
        )


@dataclass(slots=True)
class _Trial:
    """One attempt, as `provider.call` tells of it."""

    access: Access
    attempt: int
    kind: str
    began_s: float
    key: int = 0
    url: str = ""
    code: str = "ok"
    first_byte_ms: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0


def _code(error: BaseException) -> str:
    if isinstance(error, VoxdError):
        return error.code
    return "internal" if isinstance(error, Exception) else "cancelled"
