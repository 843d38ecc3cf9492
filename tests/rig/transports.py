"""A `VendorClient` to a fake vendor, for the tests of the vendors' stages."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.fakes import RecordingEmit
from voxd.clock import Clock, SystemClock
from voxd.net.http import HttpClient
from voxd.net.vendor_client import VendorClient, VendorClientSettings

KEY = "sk-test-0123456789abcdef"
"""The key that a transport sends unless the test sets another."""


class RecordedTransport(VendorClient):
    """A transport that records its events; ``recorded.events`` is a list of (type, data)."""

    recorded: RecordingEmit

    def data(self, type: str) -> list[dict[str, Any]]:
        """Return the data of every event of ``type``."""
        return [data for each, data in self.recorded.events if each == type]


@contextlib.asynccontextmanager
async def open_transport(
    endpoint: str = "",
    key: str = KEY,
    *,
    name: str = "vendor",
    stage: str = "llm",
    kind: str = "vendor",
    clock: Clock | None = None,
    http: HttpClient | None = None,
    **settings: Any,
) -> AsyncIterator[RecordedTransport]:
    """Yield a transport to ``endpoint`` ("": the adapter's default); ``key`` "" is for a vendor without keys.

    ``settings`` are those of `VendorClientSettings`. With a `FakeClock` retries wait for `FakeClock.advance`;
    deadlines of responses are in real time anyway. ``http`` is closed by its owner.
    """
    recorded = RecordingEmit()
    settings.setdefault("keys", (key,) if key else ())
    settings.setdefault("endpoints", (endpoint,) if endpoint else ())
    owned = http or HttpClient()
    transport = RecordedTransport(
        name,
        stage,
        VendorClientSettings(kind, **settings),
        http=owned,
        emit=recorded,
        clock=clock or SystemClock(),
    )
    transport.recorded = recorded
    try:
        yield transport
    finally:
        if http is None:
            await owned.close()
