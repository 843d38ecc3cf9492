"""Messages to a language model: against fake vendors on loopback, and with providers of a program's own."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import voxd
from tests.servers.anthropic import Messages
from tests.servers.chat import Chat, refusal
from tests.servers.ollama import MODEL, OllamaChat
from tests.servers.scripted import KEY, Reply, Scripted, scripted
from voxd import MessageReply, VoxdError, create_client, send_message, stream_message
from voxd.engine import shared_events
from voxd.engine.messages import client
from voxd.errors import AuthenticationError, InvalidRequest, NotFound, ProviderError
from voxd.providers.usage import Usage


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Handlers of one test must not see the events of the next."""
    yield
    shared_events._bus.cache_clear()


def openai_like(server: Scripted) -> Any:
    return voxd.create_openai_compatible_provider(base_url=f"{server.url}/v1", api_key=KEY, model="mine")


@pytest.mark.parametrize("vendor", ["compatible", "ollama", "anthropic"])
async def test_a_message_is_answered_with_content_and_usage(vendor: str) -> None:
    dialect: Any = {"compatible": Chat(), "ollama": OllamaChat(), "anthropic": Messages()}[vendor]
    async with scripted(dialect, Reply()) as server:
        client = {
            "compatible": lambda: openai_like(server),
            "ollama": lambda: voxd.create_ollama_provider(base_url=server.url, model=MODEL),
            "anthropic": lambda: create_client(
                KEY, "claude-sonnet-4-5", provider="anthropic", base_url=server.url
            ),
        }[vendor]()
        response = await send_message("Write a function", client=client, max_tokens=2048, temperature=0.7)
        assert (response.content, str(response)) == ("Hello there.", "Hello there.")
        assert (response.usage.input_tokens, response.usage.output_tokens) == (120, 17)
        body = server.bodies[-1]
        assert "2048" in str(body)
        assert "Write a function" in str(body)


async def test_a_server_of_ones_own_needs_no_key_and_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with scripted(Chat(key=""), Reply()) as server:
        client = voxd.create_openai_compatible_provider(f"{server.url}/v1", model="mine")
        assert (await send_message("hello", client=client)).content == "Hello there."
        assert "sk-secret" not in str(server.asked.headers)


async def test_a_stream_gives_tokens_to_a_callback_and_to_an_iteration() -> None:
    async with scripted(Chat(), Reply(), Reply()) as server:
        tokens: list[str] = []
        done: list[MessageReply] = []

        async def complete(reply: MessageReply) -> None:
            done.append(reply)

        stream = await stream_message(
            "Generate code", client=openai_like(server), on_token=tokens.append, on_complete=complete
        )
        assert tokens == ["Hello", " there", "."]
        assert (stream.content, stream.usage.output_tokens) == ("Hello there.", 17)
        assert done == [MessageReply(stream.content, stream.usage)]
        assert [token async for token in stream] == tokens, "a complete one can be read again"
        assert [token async for token in stream_message("again", client=openai_like(server))] == tokens


async def test_a_conversation_may_be_sent_whole() -> None:
    async with scripted(Chat(), Reply(), Reply()) as server:
        async with openai_like(server) as client:
            for _ in range(2):
                await send_message(
                    [
                        {"role": "user", "content": "one"},
                        {"role": "assistant", "content": "two"},
                        {"role": "user", "content": "three"},
                    ],
                    client=client,
                    system="Be brief.",
                )
        said = [(each["role"], each["content"]) for each in server.bodies[-1]["messages"]]
        assert said[-3:] == [("user", "one"), ("assistant", "two"), ("user", "three")]
        assert "Be brief." in str(said[0])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(429, "slow down", "rate_limit_exceeded", "requests"), "RATE_LIMITED"),
        (refusal(401, "no", "invalid_api_key", "invalid_request_error"), "INVALID_API_KEY"),
        (refusal(400, "too long", "context_length_exceeded", "invalid_request_error"), "CONTEXT_TOO_LONG"),
        (Reply(text=(), end="length"), "answer_cut_off"),
        (Reply(text=()), "EMPTY_ANSWER"),
    ],
)
async def test_failures_have_the_codes_of_the_reference_text(answer: Any, code: str) -> None:
    seen: list[tuple[Any, voxd.ErrorContext]] = []
    voxd.on_error(lambda error, context: seen.append((error, context)))
    async with scripted(Chat(), *[answer] * 4) as server:
        with pytest.raises(VoxdError) as caught:
            await send_message("Generate code", client=openai_like(server))
    assert caught.value.code == code
    ((error, context),) = seen
    assert error is caught.value
    assert context.type == "message"
    assert context.code == code


async def test_an_unreachable_server_is_a_network_error() -> None:
    client = voxd.create_openai_compatible_provider("http://127.0.0.1:9/v1", KEY, "mine")
    for call in (lambda: send_message("hi", client=client), lambda: stream_message("hi", client=client)):
        with pytest.raises(VoxdError) as caught:
            await call()
        assert caught.value.code == "NETWORK_ERROR"


class Own:
    """A provider of the program's own, in the shape of the reference text."""

    name = "custom-provider"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any]] = []

    async def send(self, messages: Any, options: Any) -> Any:
        self.asked.append((messages, options))
        return {"content": "Hi.", "usage": {"input_tokens": 3, "outputTokens": 4}}

    async def stream(self, messages: Any, options: Any) -> AsyncIterator[str]:
        for piece in ("H", "i", "."):
            yield piece


async def test_a_provider_of_ones_own_is_a_client() -> None:
    own = create_client(provider=Own())
    reply = await send_message("hello", client=own, max_tokens=5, api_key="k")
    assert (reply.content, reply.usage) == ("Hi.", Usage(input_text_tokens=3, output_text_tokens=4))
    ((messages, options),) = own.asked  # type: ignore[attr-defined]
    assert messages == [{"role": "user", "content": "hello"}]
    assert (options.max_tokens, options["api_key"], options.model) == (5, "k", None)
    assert (await stream_message("hello", client=own)).content == "Hi."


async def test_a_provider_needs_one_method_only() -> None:
    async def send(messages: Any, options: Any) -> Any:
        return MessageReply("Sent.")

    async def stream(messages: Any, options: Any) -> AsyncIterator[Any]:
        yield "Stre"
        yield "amed."
        yield MessageReply("Streamed.", Usage(output_text_tokens=2))

    sends: Any = SimpleNamespace(name="sends", send=send)
    streams: Any = SimpleNamespace(name="streams", stream=stream)
    assert (await stream_message("hello", client=sends)).content == "Sent."
    reply = await send_message("hello", client=streams)
    assert (reply.content, reply.usage.output_tokens) == ("Streamed.", 2)


@pytest.mark.parametrize("fault", [ZeroDivisionError("odd"), OSError("down")])
async def test_a_fault_of_ones_own_provider_is_an_error_of_voxd(fault: Exception) -> None:
    async def send(messages: Any, options: Any) -> Any:
        raise fault

    with pytest.raises(ProviderError):
        await send_message("hello", client=SimpleNamespace(name="mine", send=send))  # type: ignore[arg-type]


async def test_what_is_not_a_message_or_a_reply_is_refused() -> None:
    async def send(messages: Any, options: Any) -> Any:
        return 7

    mine: Any = SimpleNamespace(name="mine", send=send)
    with pytest.raises(ProviderError, match="int"):
        await send_message("hello", client=mine)
    with pytest.raises(InvalidRequest, match="not a message"):
        await send_message([{"role": "robot", "content": "x"}], client=mine)


def test_the_key_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in client._KEYS.values():
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AuthenticationError) as caught:
        create_client()
    assert "ANTHROPIC_API_KEY" in caught.value.hint
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert create_client().name == "openai"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-x")
    assert create_client().name == "anthropic"
    with pytest.raises(NotFound, match="nobody"):
        create_client(provider="nobody")
