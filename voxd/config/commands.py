"""The part of the schema for custom voice commands."""

from typing import Annotated, Literal

from msgspec import Meta

from voxd.config.provider_schema import Name, Section
from voxd.config.secrets import Secret


class ShellAction(Section, frozen=True, tag="shell", tag_field="type"):
    """Run a program; the first line of its output is spoken."""

    command: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Program and arguments; {slot} is replaced, never by a shell"),
    ]
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="Given up after this long")] = 5.0


class HttpAction(Section, frozen=True, tag="http", tag_field="type"):
    """Call a web address; the answer's text is spoken when it is short plain text."""

    url: Annotated[str, Meta(description="http:// or https:// address; {slot} is replaced")]
    method: Annotated[Literal["GET", "POST", "PUT"], Meta(description="How it is called")] = "POST"
    body: Annotated[str, Meta(description="JSON; {slot} is replaced")] = ""
    headers: Annotated[
        dict[str, Secret],
        Meta(description='Values, or { credential = "name" }, { file = "path" }, { env = "NAME" }'),
    ] = {}
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="Given up after this long")] = 5.0


class ReplyAction(Section, frozen=True, tag="reply", tag_field="type"):
    """Say a fixed sentence; {slot} is replaced."""

    text: Annotated[str, Meta(description="What is said")]


class Command(Section, frozen=True):
    """A voice command of your own."""

    name: Annotated[Name, Meta(description="What `voxctl watch` and the log call it")]
    sentences: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description='hassil templates: "(turn|switch) on [the] {room} light"'),
    ]
    action: ShellAction | HttpAction | ReplyAction
    slots: Annotated[dict[str, tuple[str, ...]], Meta(description="The values each {slot} may take")] = {}
    reply: Annotated[str, Meta(description="Said when the action worked and had nothing to say")] = "Done."
