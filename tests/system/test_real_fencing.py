"""A real host that is only cut off is switched off by its BMC before its server runs elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.bed.bed import Bed
from tests.real_hosts import guest_disk
from tests.redfish import USERNAME, bmc
from tests.system.real_clouds import RealCloud, cloud, holdings, wait_for  # noqa: F401
from tests.system.test_split_brain import domain_id, force, listed, refused

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

PATIENCE = 120.0


def test_a_host_is_switched_off_before_its_server_runs_elsewhere(
    cloud: RealCloud,  # noqa: F811
    bed: Bed,
    tmp_path: Path,
) -> None:
    image, flavor, network = cloud.upload(guest_disk()), cloud.flavor(), cloud.network()
    old, new = bed.hosts()
    force(cloud, new.name, down=True)
    server = cloud.boot(image, flavor, network)
    assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == old.name
    force(cloud, new.name, down=False)

    cloud.command("host", "change", old.name, "--fence", "false")
    bed.partition(old.number)
    wait_for(lambda: "(400)" not in refused(cloud, server), seconds=PATIENCE)  # as long as it seems to be up
    assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == old.name, "the command failed"
    assert domain_id(old, server)

    def evacuated() -> bool:
        refused(cloud, server)
        return bool(cloud.server(server)["OS-EXT-SRV-ATTR:host"] == new.name)

    with bmc(tmp_path, {place.name: place.uuid for place in (old, new)}, lambda _uuid: bed.kill(old.number)) as made:
        fence = [made.address, "--username", USERNAME, "--password-file", str(made.password), "--ca", str(made.ca)]
        command = shlex.join(["sundog", "fence-redfish", *fence, "--system", old.uuid])
        cloud.command("host", "change", old.name, "--fence", command)
        wait_for(evacuated, seconds=PATIENCE)  # once the cloud has read of the new command
    assert [each.on for each in bed.status()] == [False, True]
    cloud.settled(server, "SHUTOFF")
    cloud.act(server, **{"os-start": None})
    cloud.settled(server, "ACTIVE")

    right = domain_id(new, server)
    bed.heal(old.number)
    bed.revive(old.number)
    wait_for(lambda: not any(server in held for held in listed(old)), seconds=PATIENCE)
    assert domain_id(new, server) == right
    cloud.delete(server)
    assert holdings(bed) == {place.name: [] for place in bed.hosts()}
