"""One attempt of one provider at a question: until something is heard, somebody else may still answer it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from voxd.errors import (
    ConfigError,
    DeadlineExceeded,
    EngineError,
    ModelError,
    NotFound,
    NotUnderstood,
    ProviderError,
    VoxdError,
)
from voxd.providers.contract import (
    ActionTaken,
    PlaybackResult,
    Provider,
    ReplyItem,
    ReplyText,
    StepReached,
    Transcript,
)
from voxd.providers.routing.question import Question

ELSEWHERE = (ProviderError, DeadlineExceeded, ConfigError, NotFound, NotUnderstood, EngineError, ModelError)
"""Faults after which somebody else may still answer: all but those of the microphone and the program."""

FINAL = frozenset({"message_stopped"})
"""Refusals that are meant, and hold for everybody."""


class FailedBeforeReply(Exception):
    """A provider failed before anything of his reply was heard."""

    def __init__(self, error: VoxdError) -> None:
        super().__init__(str(error))
        self.error = error


async def attempt(
    provider: Provider, turn: Question, *, known_only: bool, begun: Callable[[], None]
) -> AsyncGenerator[ReplyItem]:
    """Yield the reply of ``provider``; ``begun`` is called with the first of it that is heard.

    Raises `FailedBeforeReply` when it fails before that. Raises what the provider raises after that, and
    after something was done: a timer must not be set twice.
    """
    asked, heard = turn.request, PlaybackResult()
    audio = turn.tape.play() if turn.tape is not None else None
    request = replace(asked, audio=audio, heard=heard, known_only=known_only)
    waiting: list[ReplyItem] = []
    is_heard = has_acted = False
    try:
        async with aclosing(provider.converse(request)) as replies:
            try:
                async for item in replies:
                    if isinstance(item, ActionTaken):
                        has_acted = True
                        continue
                    if is_heard or isinstance(item, Transcript | StepReached):
                        yield item
                        continue
                    waiting.append(item)
                    if asked.speak and isinstance(item, ReplyText):
                        continue  # words whose sound does not come are never said
                    is_heard = True
                    begun()
                    for kept_back in waiting:
                        yield kept_back
            finally:
                heard.played_ms = turn.played_ms()
    except ELSEWHERE as error:
        if is_heard or has_acted or error.code in FINAL:
            raise
        raise FailedBeforeReply(error) from error
