"""Switching hosts off from outside: by the command that their owner gave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sundog.backends.libvirt.link import HostSpec
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import aio
from sundog.units import Seconds

LIMIT_S: Final[Seconds] = 60.0


class CommandFencer:
    """Runs ``commands``, by the uuids of hosts: sundog fence-redfish, ipmitool, a switch of the mains. A ``Fencer``.

    A command gets the host's name in ``SUNDOG_HOST`` and its uuid in ``SUNDOG_HOST_UUID``. Its exit code is 0 when
    nothing runs on the host any more, also if the host was off before. What it is called with is never told: there may
    be a password in it.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], limit: Seconds = LIMIT_S) -> None:
        self.commands, self._limit = commands, limit

    def fences(self, host: HostSpec) -> bool:
        """Whether there is a command for this host."""
        return bool(self.commands.get(host.uuid))

    async def fence(self, host: HostSpec) -> None:
        """Return when the command says that nothing runs there. Raises: BackendFailed; OutcomeUnknown after a limit."""
        command = self.commands.get(host.uuid)
        if not command:
            raise BackendFailed(
                f"there is no command that switches host {host.name} off (sundog host change {host.name} --fence "
                f"COMMAND); or switch it off and say so: openstack compute service set --down {host.name} nova-compute",
                host=host.uuid,
            )
        program = command[0]
        found_in = [*os.get_exec_path(), str(Path(sys.executable).parent)]  # where our own commands are, too
        about = {"SUNDOG_HOST": host.name, "SUNDOG_HOST_UUID": host.uuid, "PATH": os.pathsep.join(found_in)}
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **about}, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise BackendFailed(
                f"{program}, which is to fence host {host.name}, cannot be run: {error.strerror}", host=host.uuid
            ) from error
        try:
            async with aio.timeout(self._limit):
                said, _ = await process.communicate()
        except TimeoutError:
            raise OutcomeUnknown(
                f"{program}, which is to fence host {host.name}, was not done after {self._limit:g} s", host=host.uuid
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await aio.shield(process.wait())
        if process.returncode:
            last = (said.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise BackendFailed(
                f"host {host.name} was not fenced: {program} failed: {last[:200]}", host=host.uuid, name=host.name
            )
