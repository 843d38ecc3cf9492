"""`voxctl`: runs one command and turns whatever happens into an exit code."""

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from voxd.cli.exits import INTERRUPTED, IO_ERROR, exit_code, file_error
from voxd.cli.output import discard_output, prepare_streams, print_error
from voxd.cli.tree import parse
from voxd.errors import VoxdError


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``voxctl`` with ``argv``, the arguments after its name; returns the exit code.

    Raises `SystemExit` for wrong arguments (64) and help (0), as argparse does.
    """
    prepare_streams()
    try:
        try:
            args = parse(sys.argv[1:] if argv is None else argv)
            code = run(args.run, args)
        finally:
            # Here and not at the end of the process, which would print a traceback; also of the help.
            sys.stdout.flush()
    except BrokenPipeError:
        # A closed pipe ends us as it ends `cat`: silently, with 141 in the shell.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
        raise
    except OSError as error:
        # Only writing is left to fail here: the disk of a redirected output is full, say.
        discard_output()
        print_error(file_error(error), as_json=False)
        return IO_ERROR
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
