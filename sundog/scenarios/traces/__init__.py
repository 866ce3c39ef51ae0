"""Readers of VM traces: one module a format, all giving the same :class:`Trace`.

Start at :func:`read_trace` in ``formats.py``; ``model.py`` says what a trace is; ``tables.py`` reads Parquet and CSV so
that a bad value is named by file and line; each format's module has ``DESCRIPTION``, ``OPTIONS`` and ``read``. A new
format is one such module and one line in ``formats.FORMATS``. Imports: ``runtime.seeds``, ``errors``, ``units``.
"""

from sundog.scenarios.traces.formats import FORMATS, Format, read_trace
from sundog.scenarios.traces.info import trace_info
from sundog.scenarios.traces.machine_events import read_machine_events, uptimes
from sundog.scenarios.traces.model import COLUMNS, Column, Option, Trace, host_types
from sundog.scenarios.traces.normalised import write_normalised

__all__ = [
    "COLUMNS",
    "FORMATS",
    "Column",
    "Format",
    "Option",
    "Trace",
    "host_types",
    "read_machine_events",
    "read_trace",
    "trace_info",
    "uptimes",
    "write_normalised",
]
