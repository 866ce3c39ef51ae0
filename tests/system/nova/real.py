"""Run in an environment with the real ``nova`` package: its decisions on cases from standard input, as JSON.

    python real.py < cases.json > decisions.json

A case is ``{"seed", "options", "hosts", "requests"}`` with the entries that ``sundog place`` reads. Real are the
pre-filters, the translation of a request for Placement, filters, weighers, selection, claims in multi-create and
alternates (``SchedulerManager._schedule``). Made up are the database, the clock, and Placement: a host has room if
``used + asked <= (total - reserved) * allocation_ratio``.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import sys
import types
import uuid
import warnings

warnings.simplefilter("ignore")

import nova.conf  # noqa: E402
from nova import context as nova_context  # noqa: E402
from nova import exception, objects  # noqa: E402
from nova.scheduler import host_manager, manager, request_filter, utils  # noqa: E402

CONF = nova.conf.CONF
CELL = str(uuid.UUID(int=7))
# Nova takes its weighers as the file system lists them; a sum of floats depends on that order.
WEIGHERS = [
    "affinity.ServerGroupSoftAffinityWeigher",
    "affinity.ServerGroupSoftAntiAffinityWeigher",
    "compute.BuildFailureWeigher",
    "cpu.CPUWeigher",
    "cross_cell.CrossCellWeigher",
    "disk.DiskWeigher",
    "hypervisor_version.HypervisorVersionWeigher",
    "image_props.ImagePropertiesWeigher",
    "io_ops.IoOpsWeigher",
    "metrics.MetricsWeigher",
    "num_instances.NumInstancesWeigher",
    "pci.PCIWeigher",
    "ram.RAMWeigher",
]
SCHEDULER = (
    "max_attempts", "limit_tenants_to_placement_aggregate", "placement_aggregate_required_for_tenants",
    "enable_isolated_aggregate_filtering", "query_placement_for_image_type_support", "image_metadata_prefilter",
)  # fmt: skip


def configure(options):
    CONF.reset()
    CONF.clear_override("enabled_filters", group="filter_scheduler")
    for group in ("filter_scheduler", "scheduler", "metrics"):
        for name in CONF[group]:
            CONF.clear_override(name, group=group)
    CONF.set_override("weight_classes", [f"nova.scheduler.weights.{each}" for each in WEIGHERS], "filter_scheduler")
    for name, value in options.items():
        if name in SCHEDULER:
            CONF.set_override(name, value, "scheduler")
        elif name.startswith("metrics_"):
            CONF.set_override(name.removeprefix("metrics_"), value, "metrics")
        else:
            CONF.set_override(name, value, "filter_scheduler")


# ---------------------------------------------------------------- what is made up


class HostManager(host_manager.HostManager):
    """The real one without its database."""

    computes: dict

    def refresh_cells_caches(self):
        self.cells, self.enabled_cells = {}, []

    def _init_aggregates(self):
        pass

    def _init_instance_info(self, computes_by_cell=None):
        pass

    def get_compute_nodes_by_host_or_node(self, ctxt, host, node, cell=None):
        exact = [each for name, each in self.computes.items() if name == host]
        return exact or [each for name, each in self.computes.items() if name.lower() == host.lower()]

    def get_weighed_hosts(self, hosts, spec_obj):
        weighed = super().get_weighed_hosts(hosts, spec_obj)
        self.weighed.append({each.obj.host: each.weight for each in weighed})
        return weighed


class Placement:
    """The resource providers and their allocations."""

    def __init__(self, hosts, computes, aggregates):
        self.rows = {}
        for host in hosts:
            inventories = {
                "VCPU": (host["vcpus"], host["cpu_allocation_ratio"], host["vcpus_used"]),
                "MEMORY_MB": (host["memory_mb"], host["ram_allocation_ratio"], host["memory_mb_used"]),
                "DISK_GB": (host["disk_gb"], host["disk_allocation_ratio"], host["disk_gb_used"]),
            }
            for name, each in host.get("inventories", {}).items():
                inventories[name] = (each["total"], each.get("allocation_ratio", 1.0), each.get("used", 0))
            disabled = [] if host.get("enabled", True) else ["COMPUTE_STATUS_DISABLED"]
            self.rows[computes[host["name"]].uuid] = {
                "total": {name: total * ratio for name, (total, ratio, _) in inventories.items()},
                "used": {name: used for name, (_, _, used) in inventories.items()},
                "traits": {"OWNER_NOVA", *host.get("traits", []), *disabled},
                "aggregates": {each.uuid for each in aggregates[host["name"]]},
            }

    def candidates(self, request):
        """Allocation requests by provider for a real ``ResourceRequest``."""
        group = request.get_request_group(None)
        resources = request.merged_resources()
        required = request.all_required_traits | request._root_required
        forbidden = set(request._root_forbidden).union(*(g.forbidden_traits for g in request._rg_by_id.values()))
        found = {}
        for provider, row in self.rows.items():
            if (
                self._fits(row, resources)
                and required <= row["traits"]
                and not forbidden & row["traits"]
                and all(set(each) & row["aggregates"] for each in group.aggregates)
                and not set(group.forbidden_aggregates) & row["aggregates"]
                and group.in_tree in (None, provider)
            ):
                found[provider] = [{"allocations": {provider: {"resources": resources}}, "mappings": {}}]
        return found

    def _fits(self, row, resources):
        return all(row["used"].get(n, 0) + a <= row["total"].get(n, 0) for n, a in resources.items())

    def claim(self, alloc_req):
        ((provider, each),) = alloc_req["allocations"].items()
        row = self.rows[provider]
        if not self._fits(row, each["resources"]):
            return False
        for name, amount in each["resources"].items():
            row["used"][name] = row["used"].get(name, 0) + amount
        return True


class Client:
    def delete_allocation_for_instance(self, context, consumer, force=False):
        pass  # a failed request puts the whole state back


class Scheduler(manager.SchedulerManager):
    """The real one, with hosts from a list."""

    def __init__(self, hosts):
        self.host_manager = hosts

    placement_client = Client()

    def _get_sorted_hosts(self, spec_obj, host_states, index):
        self.new_dice()
        return super()._get_sorted_hosts(spec_obj, host_states, index)

    def _get_all_host_states(self, context, spec_obj, provider_summaries):
        return [state for state in self.states if state.uuid in provider_summaries]


# ---------------------------------------------------------------- dice, as Sundog throws them

MASK, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def dice(seed, sequence):
    first = mixed((seed + (sequence + 1) * GOLDEN) & MASK)
    yield first
    state = int(first * 2**53)
    while True:
        state = (state + GOLDEN) & MASK
        yield mixed(state)


class Cloud:
    """One case: hosts as Nova has them, and requests one after the other."""

    def __init__(self, case):
        configure(case["options"])
        self.seed, self.sequence, self.thrown = case["seed"], 0, None
        self.hosts = HostManager()
        self.hosts.weighed = []
        self.scheduler = Scheduler(self.hosts)
        self.scheduler.new_dice = self.new_dice
        self.aggregates, self.images, self.groups = {}, {}, {}
        states, of_host = [], {}
        self.hosts.computes = {}
        for number, host in enumerate(case["hosts"]):
            inside = [self._aggregate(each["name"], each["metadata"]) for each in host.get("aggregates", [])]
            if host.get("zone"):
                inside.append(self._aggregate(f"zone {host['zone']}", {"availability_zone": host["zone"]}))
            of_host[host["name"]] = inside
            self.hosts.computes[host["name"]] = compute_node(number, host)
            states.append(self._state(host, inside))
        self.states = self.scheduler.states = states
        self.placement = Placement(case["hosts"], self.hosts.computes, of_host)

    def _aggregate(self, name, metadata):
        if name not in self.aggregates:
            number = len(self.aggregates)
            self.aggregates[name] = objects.Aggregate(
                id=number, uuid=str(uuid.uuid5(uuid.UUID(int=1), name)), name=name, metadata=dict(metadata), hosts=[]
            )
        return self.aggregates[name]

    def _state(self, host, aggregates):
        state = host_manager.HostState(host["name"], host["name"], host.get("cell") or CELL)
        instances = {}
        for each in host.get("instances", []):
            entry = each if isinstance(each, dict) else {"id": each}
            instances[entry["id"]] = objects.Instance(uuid=entry["id"])
            self.images[entry["id"]] = entry.get("image_properties", {})
        service = {"disabled": not host.get("enabled", True), "disabled_reason": None, "host": host["name"]}
        state.update(self.hosts.computes[host["name"]], service, aggregates, instances)
        state.metrics = [types.SimpleNamespace(name=n, value=v) for n, v in host.get("metrics", {}).items()]
        if host.get("pci_devices_free"):
            state.pci_stats.pools = [{"count": host["pci_devices_free"]}]
        return state

    # ---------------------------------------------------------------- requests

    def spec(self, entry):
        flavor = objects.Flavor(
            name=entry.get("flavor", ""), vcpus=entry["vcpus"], memory_mb=entry["memory_mb"], root_gb=entry["root_gb"],
            ephemeral_gb=entry.get("ephemeral_gb", 0), swap=entry.get("swap_mb", 0),
            extra_specs={
                **entry.get("extra_specs", {}),
                **{f"trait:{each}": "required" for each in entry.get("required_traits", [])},
                **{f"trait:{each}": "forbidden" for each in entry.get("forbidden_traits", [])},
            },
        )  # fmt: skip
        given = entry.get("image_properties")
        image = objects.ImageMeta(properties=objects.ImageMetaProps.from_dict(given or {}))
        if entry.get("image_id"):
            image.id = entry["image_id"]
        if entry.get("image_disk_format"):
            image.disk_format = entry["image_disk_format"]
        hints = {k: v if isinstance(v, list) else [v] for k, v in entry.get("scheduler_hints", {}).items()}
        destination = None
        if entry.get("cell"):
            cell = objects.CellMapping(uuid=entry["cell"])
            crossing = entry.get("allow_cross_cell_move", False)
            destination = objects.Destination(cell=cell, allow_cross_cell_move=crossing)
        return objects.RequestSpec(
            instance_uuid=str(entry["id"]), num_instances=entry.get("num_instances", 1),
            project_id=entry.get("project_id"), image=image, flavor=flavor, pci_requests=None, numa_topology=None,
            availability_zone=entry.get("zone"), ignore_hosts=entry.get("ignore_hosts"),
            force_hosts=entry.get("force_hosts"), force_nodes=None, requested_destination=destination,
            scheduler_hints=hints, instance_group=self._group(entry.get("group")), limits=None, retry=None,
            is_bfv=entry.get("boot_from_volume", False), requested_resources=[], user_id="u",
            security_groups=objects.SecurityGroupList(),
            request_level_params=objects.RequestLevelParams(), requested_networks=objects.NetworkRequestList(),
        )  # fmt: skip

    def _group(self, given):
        if given is None:
            return None
        group = self.groups.setdefault(given["id"], {"members": [], "hosts": [], "before": {}})
        states = {state.host: state for state in self.states}
        for name in dict.fromkeys(given.get("hosts", [])):
            if name not in group["hosts"]:
                group["hosts"].append(name)
            wanted, there = given["hosts"].count(name), group["before"].get(name, 0)
            for number in range(there, wanted):
                member = f"member-{given['id']}-{name}-{number}"
                group["members"].append(member)
                self.images[member] = {}
                if name in states:
                    states[name].instances[member] = objects.Instance(uuid=member)
            group["before"][name] = max(wanted, there)
        return objects.InstanceGroup(
            uuid=str(uuid.uuid5(uuid.UUID(int=2), given["id"])), policies=[given["policy"]], policy=given["policy"],
            rules=given.get("rules", {}), members=group["members"], hosts=list(group["hosts"]),
        )  # fmt: skip

    def place(self, entry):
        """A decision for each instance, and what each enabled filter says of every host."""
        spec = self.spec(entry)
        count = entry.get("num_instances", 1)
        ids = [str(entry["id"])] if count == 1 else [f"{entry['id']}-{n + 1}" for n in range(count)]
        spec.instance_uuid = ids[0]
        if spec.instance_group is not None:
            members = self.groups[entry["group"]["id"]]["members"]
            members.extend(ids)  # Nova's API makes them members before they are scheduled
            spec.instance_group.members = list(members)
        verdicts = {}
        for each in self.hosts.enabled_filters:
            verdicts[type(each).__name__] = [s.host for s in self.states if not each._filter_one(s, spec)]
        before = self._snapshot()
        self.hosts.weighed.clear()
        self.images.update({each: {} for each in ids})  # they are in no database until they have a host
        try:
            found = self._schedule(spec, ids)
        except (exception.NoValidHost, exception.RequestFilterFailed):
            self._restore(before)
            return {"verdicts": verdicts, "instances": [{"host": None} for _ in ids]}
        told = []
        for number, (each, selections) in enumerate(zip(ids, found, strict=True)):
            host = selections[0].service_host
            state = next(state for state in self.states if state.host == host)
            self.images[each] = entry.get("image_properties") or {}
            state.instances.setdefault(each, objects.Instance(uuid=each))
            if spec.instance_group is not None:
                group = self.groups[entry["group"]["id"]]
                if host not in group["hosts"]:
                    group["hosts"].append(host)
            weights = self.hosts.weighed[number]
            alternates = [selection.service_host for selection in selections[1:]]
            told.append({"host": host, "weight": weights[host], "weights": weights, "alternates": alternates})
        return {"verdicts": verdicts, "instances": told}

    def _schedule(self, spec, ids):
        context = nova_context.get_admin_context()
        request_filter.process_reqspec(context, spec)
        request = utils.resources_from_request_spec(context, spec, self.hosts)
        candidates = self.placement.candidates(request)
        if request.cpu_pinning_requested:
            again = utils.resources_from_request_spec(context, spec, self.hosts, enable_pinning_translate=False)
            candidates |= self.placement.candidates(again)
        if not candidates:
            raise exception.NoValidHost(reason="Placement")
        only = spec.requested_destination
        if only is not None and "cell" in only and only.cell and not only.allow_cross_cell_move:
            candidates = {p: c for p, c in candidates.items() if self._cell(p) == only.cell.uuid}
            if not candidates:
                raise exception.NoValidHost(reason="cell")
        return self.scheduler._schedule(context, spec, ids, candidates, candidates, "1.36", True)

    def _cell(self, provider):
        return next(state.cell_uuid for state in self.states if state.uuid == provider)

    def _snapshot(self):
        numbers = ("free_ram_mb", "free_disk_mb", "vcpus_used", "num_instances", "num_io_ops")
        kept = [({name: getattr(s, name) for name in numbers}, dict(s.instances)) for s in self.states]
        return kept, copy.deepcopy(self.placement.rows), self.sequence

    def _restore(self, before):
        kept, rows, _ = before
        for state, (numbers, instances) in zip(self.states, kept, strict=True):
            for name, value in numbers.items():
                setattr(state, name, value)
            state.instances = instances
        self.placement.rows = rows

    # ---------------------------------------------------------------- stand-ins

    def claimed(self, elevated, client, spec_obj, instance_uuid, alloc_req, allocation_request_version=None):
        done = self.placement.claim(alloc_req)
        self.sequence += done
        return done

    def new_dice(self):
        self.thrown = dice(self.seed, self.sequence)

    def next_number(self):
        return next(self.thrown)

    def choice(self, hosts):
        return hosts[int(self.next_number() * len(hosts))]

    def shuffle(self, hosts):
        for last in range(len(hosts) - 1, 0, -1):
            other = int(self.next_number() * (last + 1))
            hosts[last], hosts[other] = hosts[other], hosts[last]

    def by_metadata(self, context, key=None, value=None):
        def has(each):
            return any((key is None or k == key) and (value is None or v == value) for k, v in each.metadata.items())

        return [each for each in self.aggregates.values() if has(each)] if (key, value) != (None, None) else []

    def not_matching(self, context, keys, prefix, value=None):
        return [
            each for each in self.aggregates.values()
            if any(k.startswith(prefix) and k not in keys and v == value for k, v in each.metadata.items())
        ]  # fmt: skip

    @contextlib.contextmanager
    def stood_in(self):
        """Put the stand-ins for database, Placement and chance into the modules of Nova."""

        def fill(instances, *_args, **_more):
            for each in instances.objects:
                given = self.images[each.uuid]
                each.image_ref = None
                each.system_metadata = {f"image_{name}": str(value) for name, value in given.items()}

        utils.claim_resources = self.claimed
        random.choice, random.shuffle = self.choice, self.shuffle
        objects.AggregateList.get_by_metadata = self.by_metadata
        objects.aggregate.AggregateList.get_non_matching_by_metadata_keys = self.not_matching
        objects.service.get_minimum_version_all_cells = lambda *_: 1000
        objects.CellMapping.get_by_uuid = staticmethod(lambda *_: None)
        objects.InstanceList.fill_metadata = fill
        nova_context.target_cell = lambda ctxt, _cell: contextlib.nullcontext(ctxt)
        nova.servicegroup.API.service_is_up = lambda *_: True
        yield


def compute_node(number, host):
    free_gb = host["disk_gb"] - host["disk_gb_used"]
    stats = {
        "num_instances": str(host.get("num_instances", len(host.get("instances", [])))),
        "io_workload": str(host.get("num_io_ops", 0)),
        "failed_builds": str(host.get("failed_builds", 0)),
        **host.get("stats", {}),
    }
    info = host.get("cpu_info")
    return objects.ComputeNode(
        id=number, uuid=str(uuid.UUID(int=1000 + number)), host=host["name"], hypervisor_hostname=host["name"],
        memory_mb=host["memory_mb"], memory_mb_used=host["memory_mb_used"],
        free_ram_mb=host["memory_mb"] - host["memory_mb_used"], local_gb=host["disk_gb"],
        local_gb_used=host["disk_gb_used"], free_disk_gb=free_gb,
        disk_available_least=host.get("disk_available_least"), vcpus=host["vcpus"], vcpus_used=host["vcpus_used"],
        cpu_allocation_ratio=host["cpu_allocation_ratio"], ram_allocation_ratio=host["ram_allocation_ratio"],
        disk_allocation_ratio=host["disk_allocation_ratio"], hypervisor_type=host.get("hypervisor_type") or "",
        hypervisor_version=host.get("hypervisor_version", 0), host_ip=host.get("host_ip", "10.0.0.1"),
        cpu_info=json.dumps(info) if info else "", stats=stats, numa_topology=None, pci_device_pools=None,
        supported_hv_specs=[objects.HVSpec.from_list(each) for each in host.get("supported_instances", [])],
        metrics="[]", updated_at=None,
    )  # fmt: skip


def start():
    """Set up what every service of Nova sets up."""
    CONF([], project="nova", default_config_files=[])
    objects.register_all()


def main():
    start()
    cases = json.load(sys.stdin)
    answers = []
    for case in cases:
        cloud = Cloud(case)
        with cloud.stood_in():
            answers.append([cloud.place(entry) for entry in case["requests"]])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
