"""The progress bar of a long run: simulated time, VMs done, speed and time left. Silent when nobody watches."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sundog.runtime.clock import monotonic
from sundog.scenarios.run import Study
from sundog.units import format_duration

_BETWEEN = 0.1
"""Real seconds between two updates of the bar: a run makes thousands of looks a second."""


class Progress:
    """A context manager; :meth:`update` is what a run calls."""

    def __init__(self, study: Study, *, quiet: bool) -> None:
        self._vms = len(study.workload)
        horizon = study.loaded.scenario.horizon
        last = float(study.workload.arrival_s[-1]) if self._vms else 0.0
        self._span = max(horizon if horizon is not None else last, 1e-9)
        self._begun = self._told = monotonic()
        self._task: TaskID | None = None
        self._bar: Bar | None = None
        if not quiet:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("running", total=1.0, told="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away; what follows has another one, or none."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, now: float, arrived: int) -> None:
        """The run is at ``now`` simulated seconds and ``arrived`` VMs have arrived."""
        if self._bar is None or self._task is None:
            return
        real = monotonic()
        if real - self._told < _BETWEEN:
            return
        self._told = real
        speed = arrived / max(real - self._begun, 1e-9)
        share = min(1.0, max(0.0, now / self._span))
        told = f"{format_duration(now)} simulated, {arrived:,} of {self._vms:,} VMs, {speed:,.0f} VMs/s"
        self._bar.update(self._task, completed=share, told=told)
