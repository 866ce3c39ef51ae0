"""A cloud put together: the only module that knows every part.

A **state folder** holds all that a cloud knows: its database, and ``clouds.yaml`` for its administrator. It belongs to
one process at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from ruamel.yaml import YAML, YAMLError

import sundog
from sundog.api.compute import SERVICE as COMPUTE
from sundog.api.identity import SERVICE as IDENTITY
from sundog.api.image import SERVICE as IMAGE
from sundog.api.kit.application import application
from sundog.api.kit.audit import Audit, AuditFile, unheard
from sundog.api.kit.links import is_loopback
from sundog.api.kit.policy import Policy
from sundog.api.kit.server import Listen, serve
from sundog.api.kit.service import Desk, Service
from sundog.api.metadata import SERVICE as METADATA
from sundog.api.metrics import SERVICE as METRICS
from sundog.api.network import SERVICE as NETWORK
from sundog.api.placement import SERVICE as PLACEMENT
from sundog.api.sundog import SERVICE as SUNDOG
from sundog.app import backup as backups
from sundog.app.hosts import changing_hosts, find_host, read_hosts
from sundog.app.real import follow_hosts, real_hosts
from sundog.backends.contract import ComputeDriver
from sundog.backends.durations import DurationsFile
from sundog.backends.networks import NetworkDriver
from sundog.backends.playground import Playground
from sundog.backends.simulated import (
    AddedHosts,
    FileLedger,
    FleetPlan,
    SimulatedDriver,
    SimulatedFleet,
    Timings,
    identical_hosts,
)
from sundog.backends.timed import Stopwatch, TimedDriver
from sundog.control.audit import PATIENCE, Finding, audit
from sundog.control.audit import heal as put_right
from sundog.control.clock import Clock
from sundog.control.cloud import Cloud
from sundog.control.compute import Compute
from sundog.control.compute import Settings as ComputeSettings
from sundog.control.compute.bootstrap import bootstrap as bootstrap_compute
from sundog.control.compute.settings import DEFAULT as DEFAULT_COMPUTE
from sundog.control.fleet import Fleet
from sundog.control.identity import CatalogueItem, Identity, bootstrap
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.image import ImageFiles, Images
from sundog.control.network import Network
from sundog.control.network import bootstrap as bootstrap_network
from sundog.control.placement import Placement
from sundog.control.store import Store, open_store
from sundog.control.store.engines import FILE_NAME
from sundog.control.store.tables.meta import meta
from sundog.core.pool import Pool, ResourceClasses
from sundog.core.scheduler import load_policy
from sundog.errors import Conflict, InputError, OutputError
from sundog.runtime import aio, clock, warp
from sundog.runtime.ids import Ids, random_secret, random_seed, random_uuid
from sundog.runtime.seeds import Streams
from sundog.units import Seconds

SERVICES: Final[tuple[Service, ...]] = (IDENTITY, IMAGE, NETWORK, PLACEMENT, COMPUTE, METADATA, SUNDOG, METRICS)

CATALOGUE: Final = (
    CatalogueItem("identity", "keystone", "/identity"),
    CatalogueItem("image", "glance", "/image"),
    CatalogueItem("network", "neutron", "/network"),
    CatalogueItem("placement", "placement", "/placement"),
    CatalogueItem("compute", "nova", "/compute/v2.1"),
    CatalogueItem("sundog", "sundog", "/sundog/v1"),
)

DEFAULT_POLICY: Final = "nova"
"""What decides where servers go, unless the operator says otherwise."""

SIMULATED: Final = "simulated"
LIBVIRT: Final = "libvirt"
BACKENDS: Final = (SIMULATED, LIBVIRT)
"""What hosts can be."""

MEMORY: Final = ":memory:"
"""The state of a cloud that is gone when its process ends."""

AUDIT_FILE: Final = "audit.jsonl"
"""Where in the state folder a line is written for each request that may have changed something."""

DURATIONS_FILE: Final = "durations.jsonl"
"""Where in the state folder of a cloud of real hosts a line is written for each operation on them."""

DEFAULT_HOSTS: Final = 10
"""Hosts of a new cloud that is told nothing else."""

_TICK: Final[Seconds] = 5.0
"""Real seconds between two notes of what time it is, for the next start."""

_REAL_SYNC: Final[Seconds] = 60.0
"""Between two comparisons of all real hosts with the books: somebody may do what no event tells of."""

_REAL_PATIENCE: Final[Seconds] = 600.0
"""How long a repair waits for what is under way on real hosts."""

_CONNECT_S: Final[Seconds] = 60.0
"""How long an audit waits for hosts to be connected: what it does not reach it cannot compare."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a cloud is served.

    ``backend`` is what its hosts are, one of ``BACKENDS``; it stays with the state, and is ``simulated`` if a new one
    is told nothing. ``speed`` is simulated seconds a real one. ``seed`` and ``fleet`` are those of a new state, drawn
    and made up if they are left out; they stay with it. ``timings`` say how long simulated hosts take until the next
    start. ``admin_password`` becomes the administrator's if it is given;
    otherwise one is made up when the state is new. ``policy`` overrides rules by their names; ``placement_policy``
    decides where servers go.
    """

    listen: Listen = field(default_factory=Listen)
    state: str = MEMORY
    backend: str | None = None
    speed: float = 1.0
    seed: int | None = None
    fleet: FleetPlan | None = None
    timings: Timings | None = None
    admin_password: str | None = field(default=None, repr=False)
    policy: Mapping[str, str] = field(default_factory=dict)
    placement_policy: str = DEFAULT_POLICY
    identity: IdentitySettings = field(default_factory=IdentitySettings)


def make_cloud(
    store: Store,
    folder: Path,
    seed: int,
    identity: IdentitySettings | None = None,
    *,
    driver: ComputeDriver | None = None,
    playground: Playground | None = None,
    compute: ComputeSettings = DEFAULT_COMPUTE,
    placement_policy: str = DEFAULT_POLICY,
    networks: NetworkDriver | None = None,
) -> Cloud:
    """The control plane over a store, whose tables are brought up to date, and a folder for the data of images.

    Ids are drawn from ``seed``. ``placement_policy`` decides where servers go: a built-in one, or ``module:Class``.
    Without a ``driver``, which belongs to a world that runs, it has no hosts; ``playground`` is there if they are
    simulated, ``networks`` if anything is really sent between servers. Raises: OutputError if the folder cannot be
    used; InputError for a policy that is not there.
    """
    store.migrate()
    ids = Ids(Streams(seed).stream("ids"))
    driver = driver or SimulatedDriver(warp.World(seed=seed), ())
    placement = Placement(store, Pool(ResourceClasses()), new_uuid=ids.uuid)
    network, images = Network(store, ids, driver=networks), Images(store, ids, ImageFiles(folder / "images"))
    made = Compute(
        store,
        ids,
        driver,
        placement=placement,
        network=network,
        images=images,
        policy=load_policy(placement_policy),
        policy_name=placement_policy,
        settings=compute,
        seed=seed,
    )
    return Cloud(
        store=store,
        clock=Clock(),
        fleet=Fleet(driver, made.hosts, playground),
        identity=Identity(store, ids, identity),
        placement=placement,
        image=images,
        network=network,
        compute=made,
    )


def make_app(cloud: Cloud, seed: int, overrides: Mapping[str, str] | None = None, *, audit: Audit = unheard) -> FastAPI:
    """All services of a cloud on one port. ``audit`` is told of every request that may have changed something.

    Raises: InputError for an override of a rule that is not there, or that cannot be read.
    """
    policy = Policy((rule for service in SERVICES for rule in service.rules), overrides)
    ids = Ids(Streams(seed).stream("requests"))
    desk = Desk(cloud, policy, cloud.identity.authenticate, lambda: f"req-{ids.uuid()}", audit=audit)
    return application(SERVICES, desk, version=sundog.__version__)


def serve_cloud(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve a cloud until SIGTERM or Ctrl-C; ``say`` is told how to reach it.

    Raises: InputError for settings that cannot be used; OutputError if the state folder is another process's.
    """
    with _opened(settings) as state:
        if state.beginning.fleet is None:
            _refuse_unaudited(state)
            asyncio.run(_serve_real(state, settings, say))
            return

        async def main(world: warp.World) -> None:
            fleet = state.fleet(world, settings.timings)
            await _serve(
                state, settings, fleet.driver, say, lambda _cloud: _tick(state.store, settings.speed), playground=fleet
            )
            _note_time(state.store)

        warp.run(main, rate=settings.speed, seed=state.beginning.seed, epoch=state.epoch)


async def _serve_real(state: _State, settings: Settings, say: Callable[[str], None]) -> None:
    cloud_id = state.beginning.cloud
    stopwatch = Stopwatch(DurationsFile(state.folder / DURATIONS_FILE), hears_fetches=True)
    async with real_hosts(state.folder, cloud_id, fetched=stopwatch.fetched) as real:
        if not real.driver.links:
            say("This cloud has no hosts yet. To add one: sundog host add URI")

        async def beside(cloud: Cloud) -> None:
            real.guests.metadata = cloud.compute.metadata
            await aio.gather(follow_hosts(real, cloud.compute, state.folder, cloud_id), cloud.network.wires.run())

        timed = TimedDriver(real.driver, stopwatch)
        compute = replace(DEFAULT_COMPUTE, sync_interval=_REAL_SYNC)
        await _serve(state, settings, timed, say, beside, networks=real.networks, compute=compute)


async def _serve(
    state: _State,
    settings: Settings,
    driver: ComputeDriver,
    say: Callable[[str], None],
    beside: Callable[[Cloud], Coroutine[Any, Any, None]],
    *,
    playground: Playground | None = None,
    networks: NetworkDriver | None = None,
    compute: ComputeSettings = DEFAULT_COMPUTE,
) -> None:
    """Serve a cloud over a driver; ``beside`` is what else is done with it meanwhile."""
    # A token should last as long for those who wait in real time, however fast the cloud's time goes.
    scale = max(1.0, settings.speed)
    cloud = make_cloud(
        state.store,
        state.folder,
        state.beginning.ids_seed,
        replace(settings.identity, token_life=settings.identity.token_life * scale),
        driver=driver,
        playground=playground,
        compute=replace(compute, console_life=compute.console_life * scale),
        placement_policy=settings.placement_policy,
        networks=networks,
    )
    events = AuditFile(state.folder / AUDIT_FILE)
    app = make_app(cloud, state.beginning.ids_seed, settings.policy, audit=events)
    clouds = _prepare(cloud, state.folder, settings)
    await cloud.compute.start()

    def ready() -> None:
        say(f"Sundog listens at {settings.listen.url}. To look around:")
        say(f"  export OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=sundog")
        say("  openstack token issue")

    async with aio.background() as tasks:
        task = tasks.create_task(beside(cloud))
        try:
            await serve(app, settings.listen, ready=ready, stopping=cloud.fleet.close)
        finally:
            task.cancel()
    await cloud.compute.stop()


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit found in a cloud, what of it is ``left``, and how many things were ``healed``."""

    found: tuple[Finding, ...]
    left: tuple[Finding, ...]
    healed: int = 0


def audit_cloud(state: str, *, heal: bool = False) -> Audited:
    """Audit the cloud of a state folder that is not being served.

    With ``heal`` the cloud goes on with what was under way, in no time, and what can be put right is.
    Raises: InputError if there is no cloud; OutputError if the folder is another process's.
    """
    if not (Path(state).expanduser() / FILE_NAME).is_file():
        raise InputError("there is no cloud in this folder; say with --state where it is", path=state)
    with _opened(Settings(state=state)) as opened:
        if opened.beginning.fleet is None:
            told = asyncio.run(_audit_real(opened, heal=heal))
            if heal or not told.found:
                _forget_restored(opened.store)
            return told

        async def main(world: warp.World) -> Audited:
            told = await _audit(opened, opened.fleet(world).driver, heal=heal, patience=PATIENCE)
            if heal:
                _note_time(opened.store)
            return told

        return warp.run(main, seed=opened.beginning.seed, epoch=opened.epoch)


async def _audit_real(state: _State, *, heal: bool) -> Audited:
    async with real_hosts(state.folder, state.beginning.cloud, patience=_CONNECT_S) as real:
        return await _audit(state, real.driver, heal=heal, patience=_REAL_PATIENCE, networks=real.networks)


async def _audit(
    state: _State, driver: ComputeDriver, *, heal: bool, patience: Seconds, networks: NetworkDriver | None = None
) -> Audited:
    cloud = make_cloud(state.store, state.folder, state.beginning.ids_seed, driver=driver, networks=networks)
    await cloud.compute.hosts.register()
    found = await audit(cloud)
    if not heal:
        return Audited(tuple(found), tuple(found))
    healed = await _healed(cloud, patience)
    left = await audit(cloud)
    await cloud.compute.stop()
    return Audited(tuple(found), tuple(left), healed)


async def _healed(cloud: Cloud, patience: Seconds) -> int:
    """Let a cloud come to rest, for ``patience`` at most, and put right what is not; how many things that were."""
    cloud.image.recover()
    await cloud.compute.start()
    with suppress(TimeoutError):
        async with aio.timeout(patience):
            await cloud.compute.worker.idle()
    return await put_right(cloud, [each for each in await audit(cloud) if not each.note])


# ---------------------------------------------------------------- real hosts


def is_served(state: str) -> bool:
    """Whether a process serves the cloud of a state folder, or works on it otherwise."""
    path = Path(state).expanduser() / "lock"
    if not path.is_file():
        return False
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def check_takes_real_hosts(state: str) -> None:
    """Raises: InputError if the cloud of this state folder was begun with simulated hosts."""
    folder = Path(state).expanduser()
    if not (folder / FILE_NAME).is_file():
        return
    kept = _kept(folder)
    if kept is not None and kept.backend != LIBVIRT:
        raise InputError("the cloud of this state folder has simulated hosts; choose another --state", state=state)


def cloud_id(state: str) -> str:
    """The id of the cloud of a state folder, by which its hosts know it; empty before its first start."""
    folder = Path(state).expanduser()
    kept = _kept(folder) if (folder / FILE_NAME).is_file() else None
    return "" if kept is None else kept.cloud


def _kept(folder: Path) -> _Kept | None:
    store = open_store(folder)
    try:
        with store.read() as tx:
            row = tx.get(meta, key="beginning")
    finally:
        store.close()
    return None if row is None else _Kept.model_validate_json(row["value"])


def forget_host(state: str, name: str) -> None:
    """Take a host out of a cloud that is not being served. Its servers' disks, if any are left there, stay.

    Raises: InputError if there is none, or a server is on it; OutputError if the folder is another process's.
    """
    folder = Path(state).expanduser()
    host = find_host(read_hosts(folder), name)
    if (folder / FILE_NAME).is_file():
        with _opened(Settings(state=state)) as opened:

            async def forget() -> None:
                cloud = make_cloud(opened.store, opened.folder, opened.beginning.ids_seed)
                known = cloud.compute.hosts.by_uuid(host.uuid)
                if known is not None:
                    try:
                        cloud.compute.hosts.remove(known.service_id)
                    except Conflict as exc:
                        raise InputError(f"host {host.name} has servers; serve the cloud and drain it first") from exc

            asyncio.run(forget())
    with changing_hosts(folder) as hosts:
        hosts.remove(find_host(hosts, host.uuid))


# ---------------------------------------------------------------- backups

_RESTORED: Final = "restored from"
"""What the database calls the time of the backup that it was made of, until it was compared with its hosts."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and whether the cloud has to be audited before it is served."""

    saved: backups.Saved
    to_be_audited: bool


def restore_cloud(file: Path, state: str) -> Restored:
    """Make a state folder of a backup. Real hosts have gone on since: an audit has to come before the next start.

    Raises: InputError for what is no backup; OutputError if the folder has a state, or is another process's.
    """
    if not file.is_file():
        raise InputError(f"there is no backup {file}", path=file)
    with state_folder(state) as folder:
        saved = backups.restore(file, folder)
        store = open_store(folder)
        try:
            store.migrate()
            with store.begin() as tx:
                row = tx.get(meta, key="beginning")
                real = row is not None and _Kept.model_validate_json(row["value"]).backend == LIBVIRT
                if real and not tx.update(meta, meta.c.key == _RESTORED, value=saved.made):
                    tx.insert(meta, key=_RESTORED, value=saved.made)
        finally:
            store.close()
    return Restored(saved, real)


def _refuse_unaudited(state: _State) -> None:
    """What hosts hold and an older state does not know would be removed from them at once."""
    with state.store.read() as tx:
        row = tx.get(meta, key=_RESTORED)
    if row is not None:
        raise InputError(
            f"this cloud was restored from a backup of {row['value']}, and serving it would remove from its hosts what "
            "it does not know; see with sundog audit what that is, and let it be so with sundog audit --heal",
            state=str(state.folder),
        )


def _forget_restored(store: Store) -> None:
    with store.begin() as tx:
        tx.delete(meta, meta.c.key == _RESTORED)


# ---------------------------------------------------------------- the state folder


@dataclass(frozen=True, slots=True)
class _State:
    """A state that is open: its folder, what is in it, what time it is there, and how it was begun."""

    folder: Path
    store: Store
    ledger: FileLedger | None
    epoch: datetime
    beginning: _Beginning

    def fleet(self, world: warp.World, timings: Timings | None = None) -> SimulatedFleet:
        """Its hosts, in a world."""
        begun = self.beginning
        return SimulatedFleet(
            world,
            begun.fleet or identical_hosts(DEFAULT_HOSTS),
            elapsed=begun.elapsed,
            added=begun.added,
            ledger=self.ledger,
            keep=lambda added: _note_hosts(self.store, added),
            timings=timings,
        )


@contextmanager
def _opened(settings: Settings) -> Iterator[_State]:
    """The state that the settings name, made if it is not there, and locked."""
    with ExitStack() as at_the_end:
        folder = at_the_end.enter_context(state_folder(settings.state))
        store = open_store(MEMORY if settings.state == MEMORY else folder)
        at_the_end.callback(store.close)
        store.migrate()
        epoch = _epoch(store)
        beginning, ledger = _beginning(store, settings, epoch), None
        if settings.state != MEMORY and beginning.fleet is not None:
            (folder / "hosts.db").touch(mode=0o600)
            ledger = FileLedger(folder / "hosts.db")
            at_the_end.callback(ledger.close)
        yield _State(folder, store, ledger, epoch, beginning)


@contextmanager
def state_folder(state: str) -> Iterator[Path]:
    """The state folder, made if need be, readable by its owner only, and locked."""
    if state == MEMORY:
        with tempfile.TemporaryDirectory(prefix="sundog-") as temporary:
            yield Path(temporary)
        return
    folder = Path(state).expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as exc:
        raise OutputError(f"the state folder cannot be used: {exc}", path=folder) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"{folder} is in use by another sundog serve; stop it, or choose another --state"
            raise OutputError(message, path=folder) from None
        yield folder


def _prepare(cloud: Cloud, folder: Path, settings: Settings) -> Path:
    """Make what a cloud cannot begin without; the path of the administrator's ``clouds.yaml``."""
    path = folder / "clouds.yaml"
    password = settings.admin_password or random_secret()
    made = bootstrap(cloud.identity, password, address=settings.listen.url, catalogue=CATALOGUE)
    cloud.image.recover()
    bootstrap_network(cloud.network, made.project_id)
    bootstrap_compute(cloud.compute)
    if settings.admin_password is not None and not made.admin_is_new:
        cloud.identity.users.update(made.user_id, {}, password=password)
    if settings.admin_password is not None or made.admin_is_new:
        _write_clouds(path, settings.listen, password)
    elif not path.exists():
        raise InputError(
            "clouds.yaml is gone from the state folder, and with it the administrator's password; give a new one in "
            "SUNDOG_ADMIN_PASSWORD", path=path,
        )  # fmt: skip
    else:
        _write_clouds(path, settings.listen, _password_in(path))
    return path


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a start goes on with. ``seed`` and ``fleet`` are the state's own, for ``elapsed`` seconds so far.

    ``ids_seed`` is another one at each start, so that no id comes twice, and the same for the same seed and start.
    ``added`` are the hosts that came later. Real hosts are no fleet: it is None then. ``cloud`` is the cloud's own id,
    which no other has, whatever its seed; its backups have it too.
    """

    seed: int
    ids_seed: int
    fleet: FleetPlan | None
    elapsed: Seconds
    added: tuple[AddedHosts, ...]
    cloud: str


class _Kept(BaseModel):
    """What a state folder keeps of how it was begun, and how often it was started.

    ``cloud`` is empty in one that was last started when clouds had no ids.
    """

    seed: int
    starts: int
    since: datetime
    backend: str = SIMULATED
    fleet: FleetPlan | None = None
    cloud: str = ""


def _beginning(store: Store, settings: Settings, epoch: datetime) -> _Beginning:
    """What the state was begun with, or is now, if it is new.

    Raises: InputError if the settings ask for something else.
    """
    with store.begin() as tx:
        row = tx.get(meta, key="beginning")
        if row is None:
            seed = random_seed() if settings.seed is None else settings.seed
            backend = settings.backend or SIMULATED
            fleet = (settings.fleet or identical_hosts(DEFAULT_HOSTS)) if backend == SIMULATED else None
            cloud = str(random_uuid())
            kept = _Kept(seed=seed, starts=1, since=epoch, backend=backend, fleet=fleet, cloud=cloud)
            tx.insert(meta, key="beginning", value=kept.model_dump_json())
        else:
            kept = _Kept.model_validate_json(row["value"])
            _refuse_another(kept, settings)
            cloud = kept.cloud or str(random_uuid())
            kept = kept.model_copy(update={"starts": kept.starts + 1, "cloud": cloud})
            tx.update(meta, meta.c.key == "beginning", value=kept.model_dump_json())
    ids_seed = int(Streams(kept.seed).fresh(f"start-{kept.starts}").integers(2**63))
    elapsed = (epoch - kept.since).total_seconds()
    return _Beginning(kept.seed, ids_seed, kept.fleet, elapsed, _added_hosts(store), kept.cloud)


_ADDED: Final = TypeAdapter(tuple[AddedHosts, ...])


def _added_hosts(store: Store) -> tuple[AddedHosts, ...]:
    """The hosts that were added to the cloud while it ran, in their order."""
    with store.read() as tx:
        row = tx.get(meta, key="added hosts")
    return () if row is None else _ADDED.validate_json(row["value"])


def _note_hosts(store: Store, added: AddedHosts) -> None:
    """Let hosts be there at the next start too."""
    told = _ADDED.dump_json((*_added_hosts(store), added)).decode()
    with store.begin() as tx:
        if not tx.update(meta, meta.c.key == "added hosts", value=told):
            tx.insert(meta, key="added hosts", value=told)


def _refuse_another(kept: _Kept, settings: Settings) -> None:
    for option, given, has in (
        ("--backend", settings.backend, kept.backend),
        ("--seed", settings.seed, kept.seed),
        ("--hosts or --scenario", settings.fleet, kept.fleet),
    ):
        if given is not None and given != has:
            raise InputError(
                f"the cloud of this state folder was begun with another {option}, which stays with it; leave that out "
                "to go on with it, or choose another --state", state=settings.state,
            )  # fmt: skip


def _write_clouds(path: Path, listen: Listen, password: str) -> None:
    auth = {
        "auth_url": f"{listen.url}/identity",
        "username": "admin",
        "password": password,
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    entry: dict[str, Any] = {"auth": auth, "region_name": "RegionOne", "identity_api_version": 3}
    if listen.certificate is not None:
        entry["cacert"] = str(listen.certificate.absolute())
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"clouds": {"sundog": entry}}, file)
    beside.replace(path)


def _password_in(path: Path) -> str:
    try:
        told = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return str(told["clouds"]["sundog"]["auth"]["password"])
    except (OSError, ValueError, TypeError, KeyError, YAMLError) as exc:
        message = "clouds.yaml has no password any more; give a new one in SUNDOG_ADMIN_PASSWORD"
        raise InputError(message, path=path) from exc


# ---------------------------------------------------------------- time


def _epoch(store: Store) -> datetime:
    """What the calendar shows at the start: the machine's time, or what it showed last, if that is later."""
    now = clock.wall_utcnow()
    with store.read() as tx:
        row = tx.get(meta, key="clock")
    return now if row is None else max(now, datetime.fromisoformat(row["value"]) + timedelta(seconds=1))


async def _tick(store: Store, speed: float) -> None:
    """Note every few seconds what time it is: a cloud that was faster than the machine must not go back later."""
    while True:
        await aio.sleep(_TICK * max(1.0, speed))
        _note_time(store)


def _note_time(store: Store) -> None:
    told = clock.utcnow().isoformat()
    with store.begin() as tx:
        if not tx.update(meta, meta.c.key == "clock", value=told):
            tx.insert(meta, key="clock", value=told)


def check(settings: Settings, *, insecure: bool) -> None:
    """Refuse what is not safe, or makes no sense, such as a placement policy that is not there.

    Raises: InputError.
    """
    listen = settings.listen
    if (listen.certificate is None) != (listen.key is None):
        raise InputError("TLS needs both a certificate and a key")
    if listen.certificate is None and not insecure and not (listen.host == "localhost" or is_loopback(listen.host)):
        raise InputError(
            f"listening on {listen.host} without TLS would send passwords in the clear; give --certificate and --key, "
            "or --insecure if something in front sees to that", host=listen.host,
        )  # fmt: skip
    load_policy(settings.placement_policy)
    if settings.backend not in (None, *BACKENDS):
        raise InputError(
            f"--backend: there is no backend {settings.backend!r}; use {' or '.join(BACKENDS)}",
            backend=settings.backend,
        )
    simulated = settings.fleet is not None or settings.speed != 1.0 or settings.timings is not None
    if settings.backend == LIBVIRT and simulated:
        raise InputError(
            "real hosts are added with sundog host add, and their time is everybody's: leave out --hosts, --scenario, "
            "--speed and --timings"
        )
    if settings.backend != LIBVIRT and settings.state != MEMORY and read_hosts(Path(settings.state).expanduser()):
        if settings.backend is None:
            raise InputError("real hosts were added to this state folder; say --backend libvirt", state=settings.state)
        raise InputError(
            "real hosts were added to this state folder; choose another --state for simulated ones",
            state=settings.state,
        )
    if not 0.0 < settings.speed <= 10_000.0 or math.isnan(settings.speed):
        raise InputError(f"a speed of {settings.speed:g} makes no sense; use 1 to 10000 simulated seconds a real one")
