"""What the configuration asks for and this process cannot use: for the status, and as a sentence to speak."""

from collections.abc import Sequence

from voxd.config.files.access import OwnView
from voxd.config.files.rules import check_commands
from voxd.config.schema import Config
from voxd.config.secrets import to_builtins
from voxd.config.settings import Settings
from voxd.listen.wake_words import WakeWordProblem


def command_problems(config: Config) -> tuple[str, ...]:
    """Return the custom commands whose program cannot be run, each with the reason."""
    findings = check_commands(Settings(to_builtins(config), set()), OwnView())
    names = [command.name for command in config.skills.commands]
    # The path of a finding is skills, commands, INDEX, ...
    return tuple(f"command {names[int(finding.path[2])]}: {finding.message}" for finding in findings)


def start_sentence(
    words: Sequence[WakeWordProblem], commands: Sequence[str], *, words_left: Sequence[str]
) -> str:
    """Return what the device says when it starts without a configured part; "" when all of it works.

    ``words_left`` are the wake words that work.
    """
    said = []
    if words:
        names = " and ".join(_spoken(problem.word) for problem in words)
        said.append(f"I cannot listen for {names}, because the model cannot be used.")
        if not words_left:
            said.append("No wake word is left: use the button, or voxctl.")
    if commands:
        # "command NAME: reason"
        names = " and ".join(_spoken(text.partition(":")[0].removeprefix("command ")) for text in commands)
        said.append(f"The {'commands' if len(commands) > 1 else 'command'} {names} cannot run.")
    return " ".join([*said, "voxctl status has the details."]) if said else ""


def _spoken(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
