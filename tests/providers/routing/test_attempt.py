"""One attempt: until something was heard or done, somebody else may answer."""

from collections.abc import AsyncGenerator

import pytest

from tests.fakes import FakeClock
from voxd.errors import ConnectionFailed, DeviceError, ProviderError, VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.providers.contract import (
    ActionTaken,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.routing.attempt import FailedBeforeReply, attempt
from voxd.providers.routing.question import Question

CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)
GONE = ConnectionFailed("gone")
HEARD = Transcript("set a timer", True, "cloud")


class Scripted:
    """Says ``items``, then fails with ``error``."""

    name = "cloud"

    def __init__(self, *items: ReplyItem, error: VoxdError) -> None:
        self.items, self.error = items, error

    def prepare(self) -> None:
        """Always ready."""

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        for item in self.items:
            yield item
        raise self.error

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        yield CLIP

    async def close(self) -> None:
        """Nothing is held."""


async def tried(
    *items: ReplyItem, error: VoxdError = GONE, speak: bool = True
) -> tuple[list[ReplyItem], Exception]:
    """Return what went out, and what was raised then."""
    out: list[ReplyItem] = []
    provider = Scripted(*items, error=error)
    async with Question(Request("t1", "default", text="x", speak=speak), None, FakeClock()) as turn:
        try:
            async for item in attempt(provider, turn, known_only=False, begun=lambda: None):
                out.append(item)  # noqa: PERF401 - what came before the failure
        except (VoxdError, FailedBeforeReply) as raised:
            return out, raised
    raise AssertionError("it fails in every one of these tests")


async def test_words_whose_sound_did_not_come_may_be_said_by_somebody_else() -> None:
    out, raised = await tried(HEARD, ReplyText("Done."))
    assert out == [HEARD]
    assert isinstance(raised, FailedBeforeReply)
    assert raised.error is GONE


@pytest.mark.parametrize(
    ("items", "error", "speak"),
    [
        ((HEARD, ReplyText("Done."), ReplyAudio(CLIP)), GONE, True),
        ((ReplyText("Done."),), GONE, False),
        ((HEARD, ActionTaken()), GONE, True),
        ((HEARD, ReplyEnd()), GONE, True),
        ((), ProviderError("no", code="message_stopped"), True),
        ((), DeviceError("no sound"), True),
    ],
)
async def test_after_something_was_heard_or_done_nobody_else_is_asked(
    items: tuple[ReplyItem, ...], error: VoxdError, speak: bool
) -> None:
    out, raised = await tried(*items, error=error, speak=speak)
    assert raised is error
    assert out == [item for item in items if not isinstance(item, ActionTaken)]
