"""The ``sundog`` command, also as ``python -m sundog``.

The commands are imported late: their libraries take a second, in which Ctrl-C is to end quietly, too.
"""

import sys


def main() -> None:
    """Run the command line and exit with its code; 130 for a Ctrl-C that no command took care of."""
    try:
        from sundog.cli.main import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
