"""What several sagas do."""

from __future__ import annotations

import base64
from typing import Final

from sqlalchemy import func, select

from sundog.backends.contract import ImageReference, PowerState, ServerKey, ServerSpec
from sundog.control.compute import ports
from sundog.control.compute.metadata import LATEST, Metadata, openstack_documents
from sundog.control.compute.records import Server, ServerFlavor, ServerImage
from sundog.control.compute.work import Work
from sundog.control.store import Reader
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.servers import Power

COPIES: Final = "copies"
"""In a server's ``kept``: generations of copies that may be on its host besides its own, as while it is rebuilt."""

POWER: Final = {
    PowerState.NOSTATE: Power.NOSTATE,
    PowerState.RUNNING: Power.RUNNING,
    PowerState.PAUSED: Power.PAUSED,
    PowerState.SHUTDOWN: Power.SHUTDOWN,
    PowerState.CRASHED: Power.CRASHED,
    PowerState.SUSPENDED: Power.SUSPENDED,
}
"""The driver's words as Nova's numbers."""


def key_of(server: Server) -> ServerKey:
    """The newest copy of a server."""
    return ServerKey(server.id, server.generation)


def image_reference(image: ServerImage) -> ImageReference:
    """An image as a host must know it."""
    return ImageReference(image.id, image.size_bytes, image.disk_format, image.checksum)


def spec_of(
    work: Work,
    server: Server,
    *,
    flavor: ServerFlavor | None = None,
    generation: int | None = None,
    image: ServerImage | None = None,
) -> ServerSpec:
    """A server as a host must know it; with another flavor, generation or image where they are given."""
    flavor = flavor or server.flavor
    image = image or server.image
    with work.parts.books.reading() as tx:
        mine = ports.port_specs(tx, server.id)
    return ServerSpec(
        uuid=server.id,
        generation=server.generation if generation is None else generation,
        name=server.name,
        project_id=server.project_id,
        vcpus=flavor.vcpus,
        memory_mib=flavor.memory_mb,
        root_gib=flavor.root_gb,
        ephemeral_gib=flavor.ephemeral_gb,
        swap_mib=flavor.swap_mb,
        image=None if image is None else image_reference(image),
        ports=mine,
        metadata=server.metadata,
        user_data=None if server.user_data is None else base64.b64decode(server.user_data),
        config_drive=server.config_drive,
        drive=_drive(work, server) if server.config_drive else {},
        extra_specs=flavor.extra_specs,
    )


def _drive(work: Work, server: Server) -> dict[str, str]:
    """The documents of a server's config drive: those of the metadata service, but for user data and passwords."""
    guest = Metadata(work.parts.books, work.parts.hosts).guest(server)
    found = openstack_documents(guest, LATEST, seed=lambda _bytes: "")
    texts = {name: make().content.decode() for name, make in found.items() if name.endswith(".json")}
    return {f"openstack/{LATEST}/{name}": text for name, text in texts.items()}


async def power_of(work: Work, host: str, key: ServerKey) -> Power | None:
    """What a copy is doing now; None if it is not there.

    Raises: BackendFailed or OutcomeUnknown if the host cannot be asked.
    """
    copies = await work.parts.driver.list_servers(host, deadline=work.parts.settings.quick)
    return next((POWER[copy.power_state] for copy in copies if copy.key == key), None)


def next_generation(reader: Reader, server: Server) -> int:
    """A generation that no copy of a server ever had, not even one that a revert gave up."""
    c = tables.migrations.c
    query = select(func.max(c.target_generation)).where(c.server_id == server.id)
    moved: int = reader.execute(query).scalar() or 0
    return max(server.generation, moved, *server.kept.get(COPIES, ())) + 1
