"""What a run's files mean: exact figures over time, an audit of the books, plots and a report.

Reads the result folder alone (``docs/reference/results.md``); imports nothing of the simulator, only errors and units.
Start at ``report.analyse``, which is the whole way from raw files to ``report.html``; ``timeline`` has the idea: every
quantity is a step function, so a mean is an integral and not a sample.
"""

from sundog.analysis.conservation import Conservation, Violation, check_conservation
from sundog.analysis.report import analyse, measure
from sundog.analysis.summary import render_summary
from sundog.analysis.tables import Results

__all__ = ["Conservation", "Results", "Violation", "analyse", "check_conservation", "measure", "render_summary"]
