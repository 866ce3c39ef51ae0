"""The driver over QEMU through libvirt: real servers on real hosts, each reached by its URI.

What is pure needs no libvirt and is tried out anywhere: ``records.py`` and ``domain_xml.py`` (a domain as a record and
as XML), ``host_xml.py`` (what a host says of itself; pools, volumes and networks), ``inventory.py`` (the same as the
contract's words), ``identity.py`` (whether a host is what it was), ``states.py`` and ``failures.py`` (libvirt's numbers
as the contract's words).

What acts: ``threads.py`` (calls with a deadline in a host's own threads), ``native.py`` (the one module that imports
libvirt), ``link.py`` (one host: its connections, its liveness, its events), ``storage.py`` (files on a host by nothing
but libvirt), ``images.py`` (images made harmless here), ``consoles.py`` (serial lines and screens), ``operations.py``
(one at a time on a copy, broken off by ``destroy``), ``driver.py`` (the contract). libvirt-python comes with
``pip install 'sundog[libvirt]'``; without it this package can be imported, and says so when it is to be used.
"""
