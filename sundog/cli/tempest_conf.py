"""``sundog tempest-conf``: a filled tempest.conf for a cloud that runs. It asks the cloud, and makes nothing in it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer
from ruamel.yaml import YAML, YAMLError

from sundog.cli.state import DEFAULT_STATE
from sundog.errors import InputError
from sundog.units import Seconds

_PATIENCE: Final[Seconds] = 60.0
_CLOUDS: Final = f"{DEFAULT_STATE}/clouds.yaml"

# What Tempest calls the services that it may find missing, and what the catalogue calls them.
_SERVICES: Final = {
    "nova": ("compute",),
    "glance": ("image",),
    "neutron": ("network",),
    "cinder": ("block-storage", "volumev3"),
    "swift": ("object-store",),
    "horizon": (),
}

Sections: TypeAlias = dict[str, dict[str, Any]]

# What Tempest may expect of each service, and what not: it has no means to ask.
_FEATURES: Final[Sections] = {
    "identity-feature-enabled": {
        "immutable_user_source": False,
        "trust": False,
        "access_rules": False,
        "security_compliance": False,
        "domain_specific_drivers": False,
        "api_extensions": "OS-INHERIT",
    },
    "compute-feature-enabled": {
        "disk_config": True,
        "enable_instance_password": True,
        "stable_rescue": False,
        "volume_backed_live_migration": False,
        "can_migrate_between_any_hosts": True,
        "personality": False,
        "attach_encrypted_volume": False,
        "swap_volume": False,
        "volume_multiattach": False,
        "ide_bus": False,
        "unified_limits": False,
    },
    "image-feature-enabled": {
        "import_image": True,
        "image_format_enforcement": False,
        "os_glance_reserved": True,
    },
    "network-feature-enabled": {
        "ipv6": True,
        "ipv6_subnet_attributes": True,
        "floating_ips": True,
        "port_security": True,
    },
}


# What Tempest may expect of servers, and what hosts must be able to do for it.
_OF_HOSTS: Final = {
    "change_password": "set_password",
    "console_output": "console_log",
    "pause": "pause",
    "suspend": "suspend",
    "shelve": "snapshot",
    "rescue": "rescue",
    "resize": "resize",
    "cold_migration": "resize",
    "live_migration": "live_migration",
    "block_migration_for_live_migration": "live_migration",
    "interface_attach": "plug_running",
    "snapshot": "snapshot",
    "config_drive": "config_drive",
}
_CONSOLES: Final = {"vnc_console": "novnc", "serial_console": "serial", "spice_console": "spice-html5"}


@dataclass(frozen=True, slots=True)
class Access:
    """How an administrator reaches a cloud: an entry of a clouds.yaml."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    project: str
    user_domain: str
    project_domain: str
    region: str
    cacert: str | None = None

    @property
    def identity(self) -> str:
        """The address of Keystone's v3 API."""
        url = self.auth_url.rstrip("/")
        return url if url.endswith("/v3") else f"{url}/v3"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cloud answers: a status, headers in small letters, and a body that was JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Guests:
    """What is known of the images' guests: who may log in with a key (None: nobody), and how long they may boot."""

    user: str | None = None
    patience: int | None = None


Send = Callable[[str, str, Mapping[str, str], bytes | None], Answer]
"""``(method, address, headers, body) -> answer``."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What Tempest must be told of a cloud; what is empty or None is not there.

    ``versions`` are the newest microversions of services by their types, ``hosts`` how many take servers.
    ``capabilities`` is what hosts can do, None if the cloud has no word for it, as OpenStack has none.
    """

    domain: str
    services: frozenset[str]
    public_network: tuple[str, str] | None = None
    extensions: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    hosts: int = 0
    rate: float = 1.0
    capabilities: Mapping[str, Any] | None = None


def tempest_conf(
    *,
    clouds: Annotated[Path, typer.Option(envvar="OS_CLIENT_CONFIG_FILE", metavar="FILE", help="A clouds.yaml.")] = Path(
        _CLOUDS
    ),
    cloud: Annotated[str, typer.Option(envvar="OS_CLOUD", metavar="NAME", help="The cloud in it.")] = "sundog",
    work: Annotated[Path, typer.Option(metavar="DIR", help="Tempest's workspace, by `tempest init`.")] = Path(),
    only: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE", help="Say that others are missing: image. Repeatable.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help="The external network of floating IPs; the first if left out.")
    ] = None,
    ssh_user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who logs in to guests with a key; nobody if left out.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="How long a guest may take to boot; 300 if left out.")
    ] = None,
) -> None:
    """Print a tempest.conf for a cloud that runs."""
    access = read_clouds(clouds.expanduser(), cloud)
    facts = find_out(access, sender(access), network=network)
    guests = Guests(ssh_user, patience)
    print(text(sections(access, facts, work.absolute(), only=only, guests=guests)), end="")


def read_clouds(path: Path, name: str) -> Access:
    """The entry of a clouds.yaml. Raises: InputError if it is not there, or lacks something."""
    try:
        told = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise InputError(f"no cloud is described there: {exc}", path=path) from exc
    try:
        entry = told["clouds"][name]
        auth = entry["auth"]
        cacert = entry.get("cacert")
        return Access(
            auth_url=str(auth["auth_url"]),
            username=str(auth["username"]),
            password=str(auth["password"]),
            project=str(auth["project_name"]),
            user_domain=str(auth.get("user_domain_id", "default")),
            project_domain=str(auth.get("project_domain_id", "default")),
            region=str(entry.get("region_name", "RegionOne")),
            cacert=None if cacert is None else str(cacert),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise InputError(f"cloud {name!r} is not there, or not whole: it lacks {exc}", path=path, cloud=name) from exc


def sender(access: Access) -> Send:
    """What sends requests over the network.

    It raises: InputError if nobody answers. Raises: InputError for a CA certificate that cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=access.cacert)
    except OSError as exc:
        raise InputError(f"the CA certificate cannot be read: {exc}", path=access.cacert) from exc

    def send(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if not address.startswith(("http://", "https://")):
            raise InputError(f"{address} is no address of a cloud; it begins with http:// or https://")
        request = urllib.request.Request(address, body, dict(headers), method=method)  # noqa: S310 - it was looked at
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE, context=context) as told:  # noqa: S310
                return _answer(told.status, told.headers, told.read())
        except urllib.error.HTTPError as exc:
            with exc:
                return _answer(exc.code, exc.headers, exc.read())
        except OSError as exc:
            raise InputError(f"no cloud answers at {address} ({exc}); start it with sundog serve") from exc

    return send


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    try:
        told = json.loads(body) if body else None
    except ValueError:
        told = None
    return Answer(status, {name.lower(): value for name, value in headers.items()}, told)


# ---------------------------------------------------------------- what the cloud says


def find_out(access: Access, send: Send, *, network: str | None = None) -> Facts:
    """Ask a cloud. ``network`` is the name of the external network that is meant; the first, if it is not given.

    Raises: InputError if it does not let the administrator in, answers something else, or has no such network.
    """
    token, told = log_in(access, send)
    at = {
        each["type"]: next(e["url"] for e in each["endpoints"] if e["interface"] == "public").rstrip("/")
        for each in told["catalog"]
        if any(e["interface"] == "public" for e in each["endpoints"])
    }

    def get(service: str, path: str) -> Any:
        """What a service says; None if there is no such service, or it has no such thing."""
        if service not in at:
            return None
        address = f"{at[service]}{path}"
        answer = send("GET", address, {"X-Auth-Token": token}, None)
        if answer.status == 404:
            return None
        if answer.status >= 400 or answer.body is None:
            raise InputError(f"the cloud answers {answer.status} to GET {address}; is this its administrator?")
        return answer.body

    networks = (get("network", "/v2.0/networks?router:external=true") or {}).get("networks", [])
    if network is not None:
        known = ", ".join(each["name"] for each in networks) or "none"
        networks = [each for each in networks if each["name"] == network]
        if not networks:
            raise InputError(f"--network {network}: there is no such external network; there is {known}", name=network)
    extensions = (get("network", "/v2.0/extensions") or {}).get("extensions", [])
    images = (get("image", "/v2/images?visibility=public&status=active&sort=created_at:asc") or {}).get("images", [])
    hosts = (get("compute", "/os-services?binary=nova-compute") or {}).get("services", [])
    clock = (get("sundog", "/clock") or {}).get("clock", {})
    return Facts(
        domain=told["user"]["domain"]["name"],
        services=frozenset(at),
        public_network=(networks[0]["id"], networks[0]["name"]) if networks else None,
        extensions=tuple(each["alias"] for each in extensions),
        images=tuple(each["id"] for each in images[:2]),
        flavors=two_flavors((get("compute", "/flavors/detail") or {}).get("flavors", [])),
        versions=_versions(get("compute", "/"), get("placement", "/")),
        hosts=sum(1 for each in hosts if (each["state"], each["status"]) == ("up", "enabled")),
        rate=float(clock.get("rate", 1.0)),
        capabilities=(get("sundog", "/capabilities") or {}).get("capabilities"),
    )


def log_in(access: Access, send: Send) -> tuple[str, Any]:
    """A token of the administrator's, and what it says."""
    user = {"name": access.username, "domain": {"id": access.user_domain}, "password": access.password}
    scope = {"project": {"name": access.project, "domain": {"id": access.project_domain}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    address = f"{access.identity}/auth/tokens"
    answer = send("POST", address, {"Content-Type": "application/json"}, json.dumps(body).encode())
    token = answer.headers.get("x-subject-token")
    if answer.status != 201 or token is None:
        raise InputError(f"{address} answers {answer.status}: the cloud does not let {access.username} in")
    return token, answer.body["token"]


def two_flavors(flavors: Collection[Any]) -> tuple[str, ...]:
    """The smallest flavor with a disk, and the smallest that is larger in everything, as resizing needs it."""

    def size(flavor: Any) -> tuple[int, int, int]:
        return flavor["vcpus"], flavor["ram"], flavor["disk"]

    with_disk = sorted((each for each in flavors if each["disk"] > 0), key=lambda each: (*size(each), each["id"]))
    if not with_disk:
        return ()
    small = with_disk[0]
    larger = (each for each in with_disk if all(a > b for a, b in zip(size(each), size(small), strict=True)))
    return tuple(each["id"] for each in (small, next(larger, None)) if each is not None)


def _versions(compute: Any, placement: Any) -> dict[str, str]:
    """The newest microversions that the discovery documents tell of."""
    found = {}
    if compute is not None and "version" in compute:
        found["compute"] = str(compute["version"]["version"])
    if placement is not None and placement.get("versions"):
        found["placement"] = str(placement["versions"][0]["max_version"])
    return found


# ---------------------------------------------------------------- tempest.conf


def sections(
    access: Access, facts: Facts, work: Path, *, only: Collection[str] | None = None, guests: Guests | None = None
) -> Sections:
    """A tempest.conf as sections of values; those that are None stay Tempest's own.

    Tests log in to guests if it is known as whom: by a floating IP if there is a network of those.

    With ``only``, service types of the catalogue, other services are said to be missing, so that their tests are left
    out. Raises: InputError for one that the cloud does not have.
    """
    for name in only or ():
        if name not in facts.services:
            known = ", ".join(sorted(facts.services))
            raise InputError(f"--only {name}: the cloud has no such service; it has {known}", service=name)
    there = facts.services if only is None else facts.services & frozenset(only)
    guests = guests or Guests()
    one, other = (*facts.images, None, None)[:2]
    small, large = (*facts.flavors, None, None)[:2]
    network = facts.public_network or (None, None)
    interval = 1 if facts.rate <= 1.0 else 0  # where time flies there is nothing to wait for
    return {
        "DEFAULT": {"log_dir": work / "logs", "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": work / "tempest_lock"},
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": "compute" in there,
            "admin_username": access.username,
            "admin_project_name": access.project,
            "admin_password": access.password,
            "admin_domain_name": facts.domain,
        },
        "identity": {
            "uri_v3": access.identity,
            "auth_version": "v3",
            "region": access.region,
            "v3_endpoint_type": "public",
            "default_domain_id": access.user_domain,
            "ca_certificates_file": access.cacert,
        },
        "service_available": {name: any(each in there for each in types) for name, types in _SERVICES.items()},
        "compute": {
            "image_ref": one,
            "image_ref_alt": other or one,
            "flavor_ref": small,
            "flavor_ref_alt": large or small,
            "max_microversion": facts.versions.get("compute"),
            "min_compute_nodes": facts.hosts or None,
            "build_timeout": guests.patience,
            "build_interval": interval,
        },
        "placement": {"max_microversion": facts.versions.get("placement")},
        "image": {"disk_formats": "raw", "build_interval": interval},
        "network": {
            "public_network_id": network[0],
            "floating_network_name": network[1],
            "project_network_cidr": "10.100.0.0/16",
            "build_interval": interval,
        },
        "validation": _validation(facts, guests),
        **_FEATURES,
        "compute-feature-enabled": _FEATURES["compute-feature-enabled"] | features(facts.capabilities),
        "network-feature-enabled": {
            **_FEATURES["network-feature-enabled"], "api_extensions": ",".join(facts.extensions),
        },
    }  # fmt: skip


def _validation(facts: Facts, guests: Guests) -> dict[str, Any]:
    if guests.user is None:
        return {"run_validation": False}
    return {
        "run_validation": True,
        "connect_method": "floating" if facts.public_network else "fixed",
        "image_ssh_user": guests.user,
        "image_alt_ssh_user": guests.user,
        "ssh_timeout": guests.patience,
    }


def features(capabilities: Mapping[str, Any] | None) -> dict[str, bool]:
    """What Tempest may expect of servers on hosts that can do this; of others, everything but consoles."""
    if capabilities is None:
        return dict.fromkeys(_OF_HOSTS, True) | dict.fromkeys(_CONSOLES, False)
    can = {feature: bool(capabilities.get(name)) for feature, name in _OF_HOSTS.items()}
    return can | {feature: kind in capabilities.get("consoles", ()) for feature, kind in _CONSOLES.items()}


def text(sections: Sections) -> str:
    """Sections as oslo.config reads them. Raises: InputError for a value that would end its line."""
    lines = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        for key, value in values.items():
            if value is not None:
                lines.append(f"{key} = {_value(key, value)}")
        lines.append("")
    return "\n".join(lines)


def _value(key: str, value: Any) -> str:
    """A value. A dollar sign would begin the name of another option."""
    if isinstance(value, bool):
        return str(value).lower()
    told = str(value)
    if told != told.strip() or any(not char.isprintable() for char in told):
        raise InputError(f"{key}: {told!r} cannot stand in a tempest.conf; change it in the cloud", key=key)
    return told.replace("$", "$$")
