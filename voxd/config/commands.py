"""The schema of custom voice commands."""

from typing import Annotated, Literal

from msgspec import Meta

from voxd.config.provider_schema import Name, Section
from voxd.config.secrets import Secret


class ShellAction(Section, frozen=True, tag="shell", tag_field="type"):
    """Run a program; the first line of its output is spoken."""

    # A list, not a line: words of the user never reach a shell, so they cannot become a command.
    command: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Program and arguments; {slot} is replaced, never by a shell"),
    ]
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="Deadline")] = 5.0


class HttpAction(Section, frozen=True, tag="http", tag_field="type"):
    """Send an HTTP request; a response of short plain text is spoken."""

    url: Annotated[str, Meta(description="http:// or https:// address; {slot} is replaced")]
    method: Annotated[Literal["GET", "POST", "PUT"], Meta(description="HTTP method")] = "POST"
    body: Annotated[str, Meta(description="JSON body; {slot} is replaced")] = ""
    headers: Annotated[
        dict[str, Secret],
        Meta(description='Values, or { credential = "name" }, { file = "path" }, { env = "NAME" }'),
    ] = {}
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="Deadline")] = 5.0


class ReplyAction(Section, frozen=True, tag="reply", tag_field="type"):
    """Say a fixed sentence; {slot} is replaced."""

    text: Annotated[str, Meta(description="The sentence")]


class Command(Section, frozen=True):
    """A custom voice command."""

    name: Annotated[Name, Meta(description="Its name in `voxctl watch` and the log")]
    sentences: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description='hassil templates: "(turn|switch) on [the] {room} light"'),
    ]
    action: ShellAction | HttpAction | ReplyAction
    slots: Annotated[dict[str, tuple[str, ...]], Meta(description="The values each {slot} may take")] = {}
    reply: Annotated[str, Meta(description="Spoken after an action without a text of its own")] = "Done."
