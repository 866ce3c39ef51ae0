"""What hosts of a test bed are called and told."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from sundog.backends.playground import HostFault
from tests.bed.bed import FAULTS, Bed
from tests.bed.layout import BEDS, HOSTS, Layout, libvirtd_conf, qemu_conf
from tests.bed.needs import BedError

ALL = [Layout(bed, Path("/beds")).host(host) for bed, host in product(BEDS, HOSTS)]


def test_no_two_hosts_of_any_beds_share_a_name_an_address_or_an_identity() -> None:
    for what in ("name", "uuid", "address", "tcp", "unix"):
        assert len({getattr(host, what) for host in ALL}) == len(ALL)
    assert len({host.mac(card) for host in ALL for card in (0, 1)}) == 2 * len(ALL)
    assert len({host.link(card) for host in ALL for card in (0, 1)}) == 2 * len(ALL)
    assert all(str(UUID(host.uuid)) == host.uuid for host in ALL)


def test_names_of_links_are_short_enough_for_the_kernel() -> None:
    names = [host.link(card) for host in ALL for card in (0, 1)]
    names += [bridge for bed in BEDS for bridge in Layout(bed, Path("/beds")).bridges]
    assert max(map(len, names)) <= 15


def test_paths_of_sockets_are_short_enough_for_the_kernel() -> None:
    host = Bed(BEDS.stop - 1).layout.host(HOSTS.stop - 1)
    assert len(host.unix.partition("socket=")[2]) < 108


def test_a_host_is_told_its_own_identity_and_addresses() -> None:
    host = Layout(3, Path("/beds")).host(2)
    assert 'host_uuid = "5d0b0003-0000-4000-8000-000000000002"\n' in libvirtd_conf(host)
    assert 'listen_addr = "10.99.3.12"\n' in libvirtd_conf(host)
    assert 'migration_address = "10.99.3.12"\n' in qemu_conf(host)


def test_faults_are_called_as_on_simulated_hosts() -> None:
    # Nobody fences here: that is for what is outside of the host.
    assert {*HostFault} - {"fence"} <= {*FAULTS}


def test_a_bed_or_a_number_of_hosts_that_cannot_be_is_refused() -> None:
    with pytest.raises(BedError, match="there is no bed 100; beds are 0 to 99"):
        Bed(100)
    with pytest.raises(BedError, match="a bed has 1 to 30 hosts, not 31"):
        Bed(1).up(31)


def test_a_host_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "1/h2").mkdir(parents=True)
    with pytest.raises(BedError, match="bed 1 has no host 3; it has 2"):
        Bed(1, tmp_path).host(3)
    with pytest.raises(BedError, match="bed1-2 is off"):
        Bed(1, tmp_path).run(2, ["true"])
    assert [host.words for host in Bed(1, tmp_path).status()] == ["off"]
