"""Weighers that compare the request with what a host reports."""

from __future__ import annotations

from collections import Counter

import numpy as np

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import NovaOptions, settings
from sundog.core.scheduler.request import Request
from sundog.errors import InputError


class MetricsWeigher:
    """Metrics of the host times the ratios of ``metrics_weight_setting``, summed.

    A host without one of them has ``metrics_weight_of_unavailable``, whatever the others are; or that is an error, if
    ``metrics_required``. (Enable ``MetricsFilter`` to keep to hosts that have all.)
    """

    name = "MetricsWeigher"
    option = "metrics_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None:
        self.setting = settings(options.metrics_weight_setting, "metrics_weight_setting")
        self.required = options.metrics_required
        self.missing = options.metrics_weight_of_unavailable
        self.multiplier = options.metrics_weight_multiplier

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """The sum.

        Raises: InputError for a feasible host without a metric that is required.
        """
        if not self.setting:
            return None
        weights = np.zeros(hosts.n)
        of_host = None if hosts.facts is None else hosts.facts.multipliers(hosts.hosts, self.option, self.multiplier)
        for host in np.flatnonzero(hosts.feasible).tolist():
            row = int(hosts.hosts.rows[host])
            metrics = {} if hosts.facts is None else hosts.facts.described(row).metrics
            multiplier = self.multiplier if of_host is None else float(of_host[host])
            for name, ratio in self.setting:
                if name in metrics:
                    weights[host] += metrics[name] * ratio
                    continue
                if self.required:
                    raise InputError(
                        f"host {hosts.hosts.name(host)} reports no metric {name!r}; enable MetricsFilter, or set "
                        "metrics_required=false"
                    )
                if ratio * multiplier != 0:
                    weights[host] = self.missing
                    break
        return weights


class ImagePropertiesWeigher:
    """Servers on the host whose image has the same properties as the request's, counted for each property.

    ``image_props_weight_setting`` (``os_distro=2``) weighs the properties; one that it does not name counts nothing.
    Off while ``image_props_weight_multiplier`` is 0, whatever aggregates say.
    """

    name = "ImagePropertiesWeigher"
    option = "image_props_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None:
        self.setting = dict(settings(options.image_props_weight_setting, "image_props_weight_setting"))
        self.off = options.image_props_weight_multiplier == 0.0

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Properties in common, by weight."""
        details = request.shape.details
        if self.off or hosts.facts is None or details is None or not details.image_properties:
            return None
        weights = np.zeros(hosts.n)
        for host in np.flatnonzero(hosts.feasible).tolist():
            here = hosts.facts.instances(int(hosts.hosts.rows[host]))
            counts = Counter(pair for properties in here.values() for pair in properties)
            for pair in details.image_properties:
                weights[host] += (self.setting.get(pair[0], 0.0) if self.setting else 1.0) * counts[pair]
        return weights


class CrossCellWeigher:
    """For a move that may leave its cell: 1 in the preferred cell, -1 elsewhere."""

    name = "CrossCellWeigher"
    option = "cross_cell_move_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """1 or -1; nothing for any other request."""
        details, facts = request.shape.details, hosts.facts
        if facts is None or details is None or details.cell is None or not details.cross_cell:
            return None
        cells = (facts.described(row).cell for row in hosts.hosts.rows.tolist())
        return np.asarray([1.0 if cell == details.cell else -1.0 for cell in cells])
