"""The values of `voxd.send_message`: messages, options, replies, and what a client must be able to do."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from voxd.providers.usage import Usage

Message = Mapping[str, str]
"""One message: ``role`` (system, user, assistant) and ``content``."""


class MessageOptions(dict[str, Any]):
    """The options of one request, as entries and as attributes: api_key, model, max_tokens, temperature.

    One that is not set is None as an attribute.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.get(name)


@dataclass(frozen=True, slots=True)
class MessageReply:
    """A whole reply: its text and the tokens it used."""

    content: str
    usage: Usage = field(default_factory=Usage)

    def __str__(self) -> str:
        return self.content


class MessageProvider(Protocol):
    """A source of replies. A class needs ``name`` and one of the two methods.

    ``send`` returns a `MessageReply`, or a mapping with ``content`` and ``usage``; ``stream`` yields pieces
    of the text, and may yield such a reply last.
    """

    name: str

    async def send(self, messages: list[Message], options: MessageOptions) -> Any:
        """Return the reply to ``messages``. Raises `VoxdError`."""

    def stream(self, messages: list[Message], options: MessageOptions) -> AsyncIterator[Any]:
        """Yield the reply to ``messages``. Raises `VoxdError`."""
