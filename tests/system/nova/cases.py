"""Random clouds and requests for ``sundog place`` and the real Nova: small numbers, so that ties are many."""

from __future__ import annotations

import random
import uuid
from typing import Any

Entry = dict[str, Any]

MULTIPLIERS = {
    "ram_weight_multiplier": (1.0, 0.0, -1.0, 2.5, 0.1),
    "cpu_weight_multiplier": (1.0, 0.0, -1.0, 0.3),
    "disk_weight_multiplier": (1.0, 0.0, -2.0, 0.7),
    "io_ops_weight_multiplier": (-1.0, 0.0, 1.5),
    "num_instances_weight_multiplier": (0.0, -1.0, 1.0, 0.2),
    "build_failure_weight_multiplier": (1000000.0, 0.0, 1.0, -3.0),
    "hypervisor_version_weight_multiplier": (1.0, 0.0, -1.0),
    "soft_affinity_weight_multiplier": (1.0, 0.0, 5.0),
    "soft_anti_affinity_weight_multiplier": (1.0, 0.0, 5.0),
    "pci_weight_multiplier": (1.0, 0.0, 3.0),
    "image_props_weight_multiplier": (0.0, 0.0, 1.0, -1.0),
    "cross_cell_move_weight_multiplier": (1000000.0, 1.0, -1.0),
    "metrics_weight_multiplier": (1.0, -1.0),
}
OPTIONAL_FILTERS = (
    "AggregateImagePropertiesIsolation", "AggregateInstanceExtraSpecsFilter", "AggregateIoOpsFilter",
    "AggregateMultiTenancyIsolation", "AggregateNumInstancesFilter", "AggregateTypeAffinityFilter", "AllHostsFilter",
    "DifferentHostFilter", "IoOpsFilter", "IsolatedHostsFilter", "JsonFilter", "MetricsFilter", "NumInstancesFilter",
    "SameHostFilter", "SimpleCIDRAffinityFilter",
)  # fmt: skip
DEFAULT_FILTERS = (
    "ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)  # fmt: skip
SUPPORTED = (
    [["x86_64", "kvm", "hvm"], ["x86_64", "qemu", "hvm"]],
    [["aarch64", "kvm", "hvm"]],
    [["x86_64", "xen", "xen"]],
)
CELLS = [str(uuid.UUID(int=7)), str(uuid.UUID(int=8))]


def case(seed: int) -> Entry:
    """A case: options, hosts and requests."""
    dice = random.Random(seed)
    options = make_options(dice)
    rich = dice.random() < 0.7
    aggregates = [make_aggregate(dice, number) for number in range(dice.randrange(0, 5))] if rich else []
    hosts = [make_host(dice, number, aggregates, rich) for number in range(dice.choice([1, 2, 3, 5, 8, 12]))]
    if dice.random() < 0.4:  # hosts of two kinds: ties
        kinds = hosts[:2]
        own = ("name", "uuid", "instances")
        hosts = [dice.choice(kinds) | {key: each[key] for key in own if key in each} for each in hosts]
    requests = [make_request(dice, number, hosts, rich) for number in range(dice.choice([1, 3, 6, 10]))]
    return {"seed": seed, "options": options, "hosts": hosts, "requests": requests}


def make_options(dice: random.Random) -> Entry:
    options: Entry = {name: dice.choice(values) for name, values in MULTIPLIERS.items() if dice.random() < 0.3}
    if dice.random() < 0.6:
        filters = [*DEFAULT_FILTERS, *dice.sample(OPTIONAL_FILTERS, dice.randrange(0, 4))]
        dice.shuffle(filters)
        options["enabled_filters"] = filters[: dice.randrange(1, len(filters) + 1)]
    settings: dict[str, tuple[Any, ...]] = {
        "host_subset_size": (1, 2, 3, 50),
        "shuffle_best_same_weighed_hosts": (True, False),
        "max_attempts": (1, 2, 3, 5),
        "max_io_ops_per_host": (0, 2, 4),
        "max_instances_per_host": (1, 3, 5),
        "isolated_hosts": (["h0", "h2"], ["h1"]),
        "isolated_images": ([str(uuid.UUID(int=1))], []),
        "restrict_isolated_hosts_to_isolated_images": (False, True),
        "image_properties_default_architecture": ("x86_64", "aarch64"),
        "aggregate_image_properties_isolation_namespace": ("os", "hw"),
        "aggregate_image_properties_isolation_separator": ("_", "."),
        "image_props_weight_setting": (["os_distro=2", "hw_disk_bus=0.5"], ["os_distro=1"]),
        "limit_tenants_to_placement_aggregate": (True,),
        "placement_aggregate_required_for_tenants": (True, False),
        "enable_isolated_aggregate_filtering": (True,),
        "image_metadata_prefilter": (True,),
    }
    options |= {name: dice.choice(values) for name, values in settings.items() if dice.random() < 0.12}
    if "MetricsFilter" in options.get("enabled_filters", ()) or dice.random() < 0.1:
        options["metrics_weight_setting"] = dice.choice(
            [["cpu.frequency=1.0"], ["cpu.frequency=0.5", "cpu.percent=-2"]]
        )
        options["metrics_required"] = False
    return options


def make_aggregate(dice: random.Random, number: int) -> Entry:
    choices: dict[str, tuple[str, ...]] = {
        "ssd": ("true", "false", "true,nvme", "8"),
        "speed": ("8", "3, 5.5"),
        "tier": ("gold", "silver, gold", "bronze"),
        "filter_tenant_id": ("p1", "p1,p2"),
        "filter_tenant_id_2": ("p3",),
        "instance_type": ("m1.small", "m1.small, m1.large"),
        "os_distro": ("ubuntu", "ubuntu,debian"),
        "hw_disk_bus": ("virtio",),
        "hw_boot_menu": ("True", "true"),
        "max_io_ops_per_host": ("1", "3", "many"),
        "max_instances_per_host": ("2", "6", "x"),
        "cpu_weight_multiplier": ("-1", "0.5", "oops"),
        "ram_weight_multiplier": ("2", "-2.0"),
        "num_instances_weight_multiplier": ("-1.5",),
        "build_failure_weight_multiplier": ("2",),
        "trait:CUSTOM_A": ("required",),
        "trait:CUSTOM_B": ("required", "no"),
    }
    metadata = {key: dice.choice(values) for key, values in choices.items() if dice.random() < 0.2}
    return {"name": f"agg{number}", "metadata": metadata}


def make_host(dice: random.Random, number: int, aggregates: list[Entry], rich: bool) -> Entry:
    vcpus = dice.choice([8, 16, 16, 32])
    memory = dice.choice([16384, 32768, 32768, 65536])
    disk = dice.choice([100, 200, 200, 500])
    used = 0 if dice.random() < 0.3 else dice.choice([0.25, 0.25, 0.5, 0.9, 1.2])
    instances: list[Any] = [str(uuid.UUID(int=10_000 + number * 100 + each)) for each in range(dice.randrange(0, 3))]
    host: Entry = {
        "name": f"h{number}" if dice.random() < 0.9 else f"H{number}",
        "uuid": str(uuid.UUID(int=500 + number)),
        "vcpus": vcpus,
        "memory_mb": memory,
        "disk_gb": disk,
        "vcpus_used": int(vcpus * used),
        "memory_mb_used": int(memory * used) + dice.choice([0, 512]),
        "disk_gb_used": int(disk * used),
        "cpu_allocation_ratio": dice.choice([1.0, 4.0, 16.0, 1.5, 1.1]),
        "ram_allocation_ratio": dice.choice([1.0, 1.0, 1.5, 0.9]),
        "disk_allocation_ratio": dice.choice([1.0, 1.0, 2.0]),
        "num_instances": len(instances) + dice.choice([0, 0, 2]),
        "num_io_ops": dice.choice([0, 0, 1, 3]),
        "hypervisor_type": dice.choice(["QEMU", "QEMU", "ironic"]),
        "hypervisor_version": dice.choice([2012000, 6002000, 6002000, 8000001]),
        "supported_instances": dice.choice(SUPPORTED),
        "host_ip": dice.choice(["10.0.0.7", "10.0.1.9", "192.168.1.1"]),
    }
    if dice.random() < 0.3:
        host["failed_builds"] = dice.choice([0, 1, 4])
    if dice.random() < 0.1:
        host["enabled"] = False
    if not rich:
        return host
    properties = [{}, {"os_distro": "ubuntu"}, {"os_distro": "debian", "hw_disk_bus": "virtio"}]
    host["instances"] = [
        each if dice.random() < 0.5 else {"id": each, "image_properties": dice.choice(properties)} for each in instances
    ]
    host["aggregates"] = [each for each in aggregates if dice.random() < 0.4]
    host["traits"] = [trait for trait in ("CUSTOM_A", "CUSTOM_B", "HW_ARCH_X86_64") if dice.random() < 0.6]
    maybe: dict[str, Any] = {
        "zone": dice.choice(["z1", "z1", "z2"]),
        "cpu_info": {"arch": "x86_64", "features": ["avx", "sse"], "topology": {"cores": dice.choice([2, 8])}},
        "stats": {"color": dice.choice(["red", "blue"])},
        "metrics": dice.choice([{"cpu.frequency": 100}, {"cpu.frequency": 200, "cpu.percent": 3}, {}]),
        "pci_devices_free": dice.choice([1, 5, 300]),
        "disk_available_least": dice.choice([10, 50, 1000, -5]),
        "cell": dice.choice(CELLS),
        "inventories": {"CUSTOM_FPGA": {"total": dice.choice([1, 4]), "used": dice.choice([0, 1])}},
    }
    return host | {key: value for key, value in maybe.items() if dice.random() < 0.4}


def make_request(dice: random.Random, number: int, hosts: list[Entry], rich: bool) -> Entry:
    names = [host["name"] for host in hosts]
    request: Entry = {
        "id": str(uuid.UUID(int=90_000 + number)),
        "vcpus": dice.choice([1, 2, 4, 8]),
        "memory_mb": dice.choice([512, 2048, 4096, 16384]),
        "root_gb": dice.choice([0, 10, 20, 50]),
    }
    if dice.random() < 0.25:
        request["ephemeral_gb"] = dice.choice([5, 10])
    if dice.random() < 0.2:
        request["swap_mb"] = dice.choice([1, 1024, 3000])
    if dice.random() < 0.3:
        request["group"] = make_group(dice, names)
    if dice.random() < 0.15:
        request["num_instances"] = dice.choice([2, 3, 5])
    if dice.random() < 0.08:
        request["ignore_hosts"] = dice.sample([*names, "elsewhere", names[0].upper()], 2)
    if dice.random() < 0.06:
        request["force_hosts"] = dice.sample([*names, *names, names[0].lower()], dice.choice([1, 1, 2]))
    if not rich:
        return request
    specs: dict[str, tuple[str, ...]] = {
        "ssd": ("true", "<in> tr", "<or> nvme <or> 8", "s== false", "s!= true"),
        "speed": (">= 4", "== 8", "<= 5.5"),
        "aggregate_instance_extra_specs:tier": ("gold", "<or> silver <or> bronze", "s> a"),
        "capabilities:hypervisor_type": ("QEMU", "<in> QE", "s== ironic"),
        "capabilities:hypervisor_version": (">= 6000000", "== 2012000", "6002000"),
        "capabilities:cpu_info:features": ("<in> avx", "<all-in> avx sse", "<in> svm"),
        "capabilities:cpu_info:topology:cores": (">= 4", "= 8", "!= 2"),
        "capabilities:color": ("red", "<or> blue <or> green"),
        "free_ram_mb": (">= 8192",),
        "color": ("red",),
        "num_instances": ("<= 2",),
        "capabilities:vcpus_used": ("<= 4", "0"),
        "capabilities:free_disk_mb": (">= 51200",),
        "resources:CUSTOM_FPGA": ("1", "2", "0"),
        "resources:VCPU": ("0", "1"),
        "resources:MEMORY_MB": ("1024",),
        "resources:DISK_GB": ("0", "30"),
        "resources1:CUSTOM_FPGA": ("1",),
        "trait:CUSTOM_A": ("required", "forbidden"),
        "trait:CUSTOM_B": ("required", "forbidden", "whatever"),
        "hw:cpu_policy": ("dedicated", "shared"),
        "quota:cpu_shares": ("7",),
    }
    images: dict[str, tuple[str, ...]] = {
        "hw_architecture": ("x86_64", "amd64", "aarch64"),
        "img_hv_type": ("kvm", "QEMU", "xen"),
        "hw_vm_mode": ("hvm", "xen"),
        "img_hv_requested_version": (">=6.0", "<6.2,>=2", "!=8.0.1", "==2.12"),
        "os_distro": ("ubuntu", "debian"),
        "hw_disk_bus": ("virtio", "scsi"),
        "hw_boot_menu": ("true", "no"),
        "trait:CUSTOM_A": ("required",),
        "hypervisor_type": ("kvm",),
        "own_property": ("x",),
    }
    present = [each if isinstance(each, str) else each["id"] for host in hosts for each in host.get("instances", [])]
    hints: Entry = {}
    if present and dice.random() < 0.15:
        chosen = dice.sample(present, min(len(present), dice.choice([1, 2])))
        hints[dice.choice(["different_host", "same_host"])] = dice.choice([chosen, chosen[0]])
    if dice.random() < 0.1:
        hints |= {"build_near_host_ip": "10.0.0.1"} | dice.choice([{}, {"cidr": "/16"}])
    if dice.random() < 0.1:
        queries = ['[">=", "$free_ram_mb", 20000]', '["or", ["=", "$num_instances", 0], ["<", "$vcpus_used", 3]]',
                   '["not", ["in", "$hypervisor_type", "QEMU", "x"]]', '["=", "$nothing", 1]']  # fmt: skip
        hints["query"] = dice.choice(queries)
    maybe: dict[str, tuple[float, Any]] = {
        "extra_specs": (0.5, {key: dice.choice(values) for key, values in specs.items() if dice.random() < 0.08}),
        "image_properties": (0.5, {key: dice.choice(values) for key, values in images.items() if dice.random() < 0.15}),
        "zone": (0.15, dice.choice(["z1", "z2", "nova"])),
        "required_traits": (0.15, ["CUSTOM_A"]),
        "forbidden_traits": (0.1, ["CUSTOM_B"]),
        "project_id": (0.6, dice.choice(["p1", "p2", "p4"])),
        "image_id": (0.4, str(uuid.UUID(int=dice.choice([1, 2])))),
        "flavor": (0.7, dice.choice(["m1.small", "m1.large"])),
        "boot_from_volume": (0.15, True),
        "scheduler_hints": (1.0, hints),
        "cell": (0.1, dice.choice(CELLS)),
    }
    request |= {key: value for key, (chance, value) in maybe.items() if dice.random() < chance}
    if (
        "zone" in request
        and not any(host.get("zone") == request["zone"] for host in hosts)
        and request["zone"] != "nova"
    ):
        del request["zone"]  # Nova's API refuses a zone that there is not
    if any(key.startswith("trait:") for key in request.get("extra_specs", ())):
        request.pop("required_traits", None)
        request.pop("forbidden_traits", None)
    if "cell" in request and dice.random() < 0.6:
        request["allow_cross_cell_move"] = True
    return request


def make_group(dice: random.Random, names: list[str]) -> Entry:
    policy = dice.choice(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"])
    group: Entry = {"id": f"{policy}-{dice.randrange(2)}", "policy": policy}
    group["hosts"] = dice.choices(names, k=dice.choice([0, 0, 1, 2, 3]))
    if dice.random() < 0.05:
        group["hosts"] = ["elsewhere"]
    if policy == "anti-affinity" and dice.random() < 0.3:
        group["rules"] = {"max_server_per_host": dice.choice([1, 2, 3])}
    return group
