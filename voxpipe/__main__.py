"""The command ``voxpipe``, and ``python -m voxpipe``: the command line's code is imported where Ctrl-C is caught."""

import sys

INTERRUPTED = 130
"""What a shell sees of a process that SIGINT ended (128 + 2)."""


def main() -> None:
    """Run the command; interrupted at any moment, it ends with that status and without a traceback."""
    try:
        from voxpipe.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
