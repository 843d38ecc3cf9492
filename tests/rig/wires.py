"""A `VendorClient` to a fake vendor, for the tests of the adapters."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.fakes import RecordingEmit
from voxd.clock import Clock, SystemClock
from voxd.net.http import HttpClient
from voxd.net.vendor_client import VendorClient, VendorClientSettings

KEY = "sk-test-0123456789abcdef"
"""What the line sends unless the test says otherwise."""


class RecordedLine(VendorClient):
    """A line whose events are in `told`: ``line.told.events`` is a list of (type, data)."""

    told: RecordingEmit

    def data(self, type: str) -> list[dict[str, Any]]:
        """Return the data of every event of ``type``."""
        return [data for each, data in self.told.events if each == type]


@contextlib.asynccontextmanager
async def line(
    endpoint: str = "",
    key: str = KEY,
    *,
    name: str = "vendor",
    stage: str = "llm",
    kind: str = "vendor",
    clock: Clock | None = None,
    http: HttpClient | None = None,
    **settings: Any,
) -> AsyncIterator[RecordedLine]:
    """Yield a line to ``endpoint`` ("" leaves it to the adapter); "" for a vendor without a key.

    ``settings`` are those of `VendorClientSettings`. A ``clock`` that stands still makes retries wait for
    `FakeClock.advance`; deadlines of answers are real time all the same. ``http`` is closed by its owner.
    """
    told = RecordingEmit()
    settings.setdefault("keys", (key,) if key else ())
    settings.setdefault("endpoints", (endpoint,) if endpoint else ())
    owned = http or HttpClient()
    made = RecordedLine(
        name,
        stage,
        VendorClientSettings(kind, **settings),
        http=owned,
        emit=told,
        clock=clock or SystemClock(),
    )
    made.told = told
    try:
        yield made
    finally:
        if http is None:
            await owned.close()
