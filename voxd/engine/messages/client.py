"""Text messages to a language model without a session: `send_message`, `stream_message`, their clients."""

import inspect
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from typing import Any, Self, cast

from voxd.engine import shared_events
from voxd.engine.calls import shorten
from voxd.engine.messages.values import Message, MessageOptions, MessageProvider, MessageReply
from voxd.errors import AuthenticationError, InvalidRequest, ProviderError, VoxdError
from voxd.providers.adapter import usage_of
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.usage import Usage

# The variables that hold a key, in the order in which `create_client` looks for one.
_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}


class MessageStream:
    """A reply in progress: iterate over its pieces, or await it; then ``content`` and ``usage`` are whole."""

    def __init__(
        self,
        pieces: AsyncIterator[Any],
        on_token: Callable[[str], Any] | None,
        on_complete: Callable[[MessageReply], Any] | None,
    ) -> None:
        self._source = pieces
        self._on_token = on_token
        self._on_complete = on_complete
        self._pieces: list[str] = []
        self._usage = Usage()
        self._is_complete = False

    @property
    def content(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def usage(self) -> Usage:
        """What the reply used, once it is complete."""
        return self._usage

    def __await__(self) -> Generator[Any, None, Self]:
        return self._finish().__await__()

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in tuple(self._pieces):
            yield piece
        if self._is_complete:
            return
        try:
            async for piece in self._source:
                if isinstance(piece, str):
                    self._pieces.append(piece)
                    await _call(self._on_token, piece)
                    yield piece
                else:
                    self._usage = _reply_of(piece).usage
        except VoxdError as error:
            shared_events.report(error, "message")
            raise shorten(error) from error.__cause__
        self._is_complete = True
        await _call(self._on_complete, MessageReply(self.content, self._usage))

    async def _finish(self) -> Self:
        async for _ in self:
            pass
        return self


def create_client(
    api_key: str = "",
    model: str = "",
    *,
    provider: str | MessageProvider = "",
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
) -> MessageProvider:
    """Return a client for `send_message`: of a vendor (anthropic, openai, ollama, custom …) or your own.

    Without a provider it is the vendor whose key is in the environment, Anthropic before OpenAI. Raises
    `NotFound` for an unknown provider, `AuthenticationError` without a key.
    """
    if not isinstance(provider, str):
        return provider
    kind = provider or next((kind for kind, name in _KEYS.items() if os.environ.get(name)), "anthropic")
    # The key of the environment is the vendor's: no other server gets it.
    key = api_key or ("" if base_url else os.environ.get(_KEYS.get(kind, ""), ""))
    # A server of one's own with a vendor's protocol may need none.
    if kind in _KEYS and not (key or base_url):
        hint = f"pass api_key, set {' or '.join(_KEYS.values())}, or use create_ollama_provider(model=…)"
        raise AuthenticationError(f"{kind} needs an API key", provider=kind, hint=hint)
    # It loads the HTTP client, which a program with a session alone does not need.
    from voxd.engine.messages.model_provider import ModelProvider

    return cast("MessageProvider", ModelProvider(kind, key, model, base_url=base_url, headers=headers or {}))


def create_openai_compatible_provider(base_url: str, api_key: str = "", model: str = "") -> MessageProvider:
    """Return a client for any server with OpenAI's chat completions; ``base_url`` ends in ``/v1``."""
    return create_client(api_key, model, provider="openai", base_url=base_url)


def create_ollama_provider(model: str = "", base_url: str = "http://localhost:11434") -> MessageProvider:
    """Return a client for the models of an Ollama server."""
    return create_client(model=model, provider="ollama", base_url=base_url)


async def send_message(
    message: str | Iterable[Message],
    *,
    client: MessageProvider | None = None,
    system: str = "",
    **options: Any,
) -> MessageReply:
    """Return the reply to ``message``, a text or a whole conversation: ``.content`` and ``.usage``.

    ``options`` are max_tokens, temperature, model and api_key, and others of a provider of your own. Raises
    `RateLimited`, `AuthenticationError`, `ConnectionFailed`, `ContextTooLong`, `NoAnswer`, `ProviderError`.
    """
    try:
        provider = client or create_client()
        messages = _messages(message, system)
        with translate_errors(provider.name):
            if hasattr(provider, "send"):
                return _reply_of(await provider.send(messages, MessageOptions(options)))
        stream = await MessageStream(provider.stream(messages, MessageOptions(options)), None, None)
        return MessageReply(stream.content, stream.usage)
    except VoxdError as error:
        shared_events.report(error, "message")
        raise shorten(error) from error.__cause__


def stream_message(
    message: str | Iterable[Message],
    *,
    client: MessageProvider | None = None,
    system: str = "",
    on_token: Callable[[str], Any] | None = None,
    on_complete: Callable[[MessageReply], Any] | None = None,
    **options: Any,
) -> MessageStream:
    """Return the reply to ``message`` in pieces: ``async for token in …``, or await it with callbacks.

    ``on_token`` gets each piece and ``on_complete`` the whole reply; both may be async. See `send_message`
    for the rest.
    """
    provider = client or create_client()
    pieces = _pieces(provider, _messages(message, system), MessageOptions(options))
    return MessageStream(pieces, on_token, on_complete)


async def _pieces(
    provider: MessageProvider, messages: list[Message], options: MessageOptions
) -> AsyncIterator[Any]:
    with translate_errors(provider.name):
        if hasattr(provider, "stream"):
            async for piece in provider.stream(messages, options):
                yield piece
        else:
            reply = _reply_of(await provider.send(messages, options))
            yield reply.content
            yield reply


def _messages(message: str | Iterable[Message], system: str) -> list[Message]:
    before: list[Message] = [{"role": "system", "content": system}] if system else []
    if isinstance(message, str):
        return [*before, {"role": "user", "content": message}]
    messages = [dict(each) for each in message]
    for each in messages:
        is_text = isinstance(each.get("content"), str)
        if each.get("role") not in ("system", "user", "assistant") or not is_text:
            hint = 'write {"role": "user", "content": "…"}'
            raise InvalidRequest(f"not a message: {each!r}", hint=hint)
    return [*before, *messages]


def _reply_of(value: Any) -> MessageReply:
    """Return what a provider returned as a reply. Raises `ProviderError` when it is not one."""
    if isinstance(value, MessageReply):
        return value
    if isinstance(value, str):
        return MessageReply(value)
    if isinstance(value, Mapping) and isinstance(value.get("content"), str):
        return MessageReply(value["content"], usage_of(value.get("usage")) or Usage())
    msg = f"the provider returned {type(value).__name__}, not a reply"
    raise ProviderError(msg, hint='return {"content": "…", "usage": {…}} from send()')


async def _call(function: Callable[[Any], Any] | None, argument: Any) -> None:
    result = function(argument) if function is not None else None
    if inspect.isawaitable(result):
        await result
