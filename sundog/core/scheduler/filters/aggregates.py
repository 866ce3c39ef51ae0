"""Nova's filters that read the metadata of aggregates. A host in none, or without facts, has none."""

from __future__ import annotations

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.extra_specs import match
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.filters.nova_base import NovaFilter, details_of
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request

SCOPE = "aggregate_instance_extra_specs"
TENANT_KEY = "filter_tenant_id"


class AggregateFilter(NovaFilter):
    """A filter whose answer depends on a host's aggregates alone."""

    def hosts_that_pass(self, request: Request, hosts: Hosts) -> Bools | None:
        """Worked out once for hosts in the same aggregates."""
        facts = hosts.facts or HostFacts()
        return facts.refused_by_aggregates(hosts, lambda names: self.why_not(request, facts, names) is None)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """What does not suit."""
        facts = hosts.facts or HostFacts()
        return self.why_not(request, facts, facts.aggregates_of(hosts, host)) or "its aggregates do not suit"

    def why_not(self, request: Request, facts: HostFacts, aggregates: tuple[str, ...]) -> str | None:
        """Why hosts in these aggregates do not pass; None if they do."""
        raise NotImplementedError


class AggregateInstanceExtraSpecsFilter(AggregateFilter):
    """Hosts whose aggregates have, for every extra spec without a scope or with this filter's, a value that matches."""

    name = "AggregateInstanceExtraSpecsFilter"

    def why_not(self, request: Request, facts: HostFacts, aggregates: tuple[str, ...]) -> str | None:
        """The first key that is missing or does not match."""
        metadata = facts.merged(aggregates)
        for scoped, wanted in details_of(request).extra_specs:
            scope, colon, key = scoped.partition(":")
            if colon and scope != SCOPE:
                continue
            key = key if colon else scope
            values = metadata.get(key)
            if not values:
                return f"no aggregate of the host has {key}"
            if not any(match(value, wanted) for value in values):
                return f"its aggregates have {key} {', '.join(values)}; asked {wanted}"
        return None


class AggregateMultiTenancyIsolation(AggregateFilter):
    """Hosts whose aggregates name the project with ``filter_tenant_id…``, or name none."""

    name = "AggregateMultiTenancyIsolation"

    def why_not(self, request: Request, facts: HostFacts, aggregates: tuple[str, ...]) -> str | None:
        """Other projects have it."""
        metadata = facts.merged(aggregates)
        tenants = [each for key, values in metadata.items() if key.startswith(TENANT_KEY) for each in values]
        project = details_of(request).project_id
        if not tenants or project in tenants:
            return None
        return f"its aggregates are for {', '.join(tenants)}; the request is of {project or 'no project'}"


class AggregateImagePropertiesIsolation(AggregateFilter):
    """Hosts whose aggregates, where they have a key that is a property of the image, have its value too.

    Only the properties that Nova knows count; see ``image_properties``.
    """

    name = "AggregateImagePropertiesIsolation"

    def why_not(self, request: Request, facts: HostFacts, aggregates: tuple[str, ...]) -> str | None:
        """The first property that differs."""
        given = dict(details_of(request).image_properties or ())
        namespace = self.options.aggregate_image_properties_isolation_namespace
        prefix = f"{namespace}{self.options.aggregate_image_properties_isolation_separator}" if namespace else ""
        for key, values in facts.merged(aggregates).items():
            value = given.get(key, "")
            # Zero and false count as not set, as they do in Nova.
            if key.startswith(prefix) and value not in ("", "0", "False") and value not in values:
                return f"its aggregates have {key} {', '.join(values)}; the image has {value}"
        return None


class AggregateTypeAffinityFilter(AggregateFilter):
    """Hosts whose aggregates list the flavor under ``instance_type``, or list none."""

    name = "AggregateTypeAffinityFilter"

    def why_not(self, request: Request, facts: HostFacts, aggregates: tuple[str, ...]) -> str | None:
        """Other flavors are listed."""
        texts = facts.values(aggregates, "instance_type")
        flavors = [each.strip() for text in texts for each in text.split(",")]
        flavor = details_of(request).flavor
        if not texts or flavor in flavors:
            return None
        return f"its aggregates are for flavors {', '.join(flavors)}; the request is of {flavor or 'none'}"
