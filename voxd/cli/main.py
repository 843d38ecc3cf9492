"""`voxctl`: runs one command and turns whatever happens into an exit code."""

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from voxd.cli.exits import INTERRUPTED, exit_code
from voxd.cli.output import print_error
from voxd.cli.tree import parse
from voxd.errors import VoxdError


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``voxctl`` with ``argv``, the arguments after its name; returns the exit code.

    Raises `SystemExit` for wrong arguments (64) and help (0), as argparse does.
    """
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = run(args.run, args)
        sys.stdout.flush()
    except BrokenPipeError:
        # A closed pipe ends us as it ends `cat`: silently, with 141 in the shell.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
        raise
    return code


def run(command: Callable[[Namespace], int], args: Namespace) -> int:
    """Return the exit code of ``command``; what goes wrong is printed."""
    try:
        return command(args)
    except VoxdError as error:
        print_error(error, as_json=args.json)
        return exit_code(error)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
