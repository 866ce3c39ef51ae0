"""The ``sundog`` command: parse, call, print. Each command is a thin function over ``scenarios`` and ``analysis``.

Start reading at ``main.app``. Exit codes are those of ``errors``; ``docs/reference/cli.md`` lists them.
"""
