"""``python -m sundog`` is the ``sundog`` command."""

from sundog.cli.main import main

if __name__ == "__main__":
    main()
