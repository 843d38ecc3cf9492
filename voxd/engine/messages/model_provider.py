"""A vendor's language model as a client of `voxd.send_message`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Literal, Self, cast

import msgspec

from voxd.bus.bus import Bus
from voxd.clock import SystemClock
from voxd.config.provider_schema import ProviderConfig
from voxd.config.secrets import Secret
from voxd.engine.messages.values import Message, MessageOptions, MessageReply
from voxd.errors import NoAnswer
from voxd.net.http import HttpClient
from voxd.net.transport import Budget
from voxd.providers.pipeline.builder import PipelineBuilder, stage_config
from voxd.providers.pipeline.stages.contract import (
    NO_ANSWER,
    ChatMessage,
    Completion,
    Prompt,
    StageKind,
    TextChunk,
)
from voxd.providers.pipeline.stages.registry import language_model
from voxd.providers.routing.health import CircuitBreaker


class ModelProvider:
    """A vendor's language model as a `MessageProvider`.

    Each request has connections of its own, unless it is made within ``async with provider``.
    """

    def __init__(
        self, kind: str, api_key: str, model: str, *, base_url: str, headers: Mapping[str, str]
    ) -> None:
        """Raises `NotFound` for an unknown ``kind``."""
        language_model(kind)
        self.name = kind
        self._table = ProviderConfig(
            kind=kind,
            model=model,
            api_key=Secret(api_key) if api_key else None,
            endpoint=base_url,
            headers={name: Secret(value) for name, value in headers.items()},
        )
        self._http: HttpClient | None = None

    async def __aenter__(self) -> Self:
        self._http = HttpClient()
        return self

    async def __aexit__(self, *_: object) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def send(self, messages: list[Message], options: MessageOptions) -> MessageReply:
        """Return the reply to ``messages``. Raises `ProviderError`."""
        text, reply = "", MessageReply("")
        async for piece in self.stream(messages, options):
            if isinstance(piece, MessageReply):
                reply = piece
            else:
                text += piece
        return MessageReply(text, reply.usage)

    async def stream(self, messages: list[Message], options: MessageOptions) -> AsyncIterator[Any]:
        """Yield the text of the reply as it is generated, then the reply. Raises `ProviderError`."""
        http = self._http or HttpClient()
        try:
            text, end = "", Completion("stop")
            async with aclosing(self._model(http, options).reply(_prompt(messages, options))) as events:
                async for event in events:
                    if isinstance(event, TextChunk):
                        text += event.text
                        yield event.text
                    elif isinstance(event, Completion):
                        end = event
            if not text.strip():
                code = NO_ANSWER.get(end.reason, "")
                raise NoAnswer("the reply is empty", provider=self.name, code=code)
            yield MessageReply(text, end.usage)
        finally:
            if http is not self._http:
                await http.close()

    def _model(self, http: HttpClient, options: MessageOptions) -> Any:
        table, clock = self._table, SystemClock()
        changes: dict[str, Any] = {"model": options.model} if options.model else {}
        if options.api_key:
            changes["api_key"] = Secret(options.api_key)
        if changes:
            table = msgspec.structs.replace(table, **changes)
        emit = Bus(clock).emit
        builder = PipelineBuilder(
            http=http, health=CircuitBreaker(emit=emit, clock=clock), emit=emit, clock=clock
        )
        client = builder.client(self.name, table, StageKind.LLM)
        return language_model(table.kind)(stage_config(self.name, table), client)


def _prompt(messages: list[Message], options: MessageOptions) -> Prompt:
    system = "\n".join(each["content"] for each in messages if each["role"] == "system")
    chat = tuple(
        ChatMessage(cast("Literal['user', 'assistant']", each["role"]), each["content"])
        for each in messages
        if each["role"] != "system"
    )
    return Prompt(
        system,
        chat,
        max_output_tokens=options.max_tokens,
        temperature=options.temperature,
        headers=options.headers or {},
        budget=Budget(),
    )
