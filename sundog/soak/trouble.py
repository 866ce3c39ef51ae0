"""What goes wrong in a run: one task for each kind of trouble."""

from __future__ import annotations

from sundog.backends.contract import PowerState
from sundog.backends.playground import FaultKind, HostFault, OperationFault, Scope
from sundog.backends.simulated import SimulatedDriver
from sundog.runtime import aio
from sundog.runtime.journal import Journal
from sundog.soak import mix
from sundog.soak.dice import Dice
from sundog.soak.events import Struck
from sundog.soak.plane import Plane

_CURES = {HostFault.KILL: HostFault.REVIVE, HostFault.FENCE: HostFault.REVIVE, HostFault.PARTITION: HostFault.HEAL}


class Troublemaker:
    """Lets things go wrong, and at the end lets everything be well again."""

    def __init__(self, plane: Plane, driver: SimulatedDriver, scopes: dict[str, list[Scope]], journal: Journal) -> None:
        self._plane, self._driver, self._scopes, self._journal = plane, driver, scopes, journal

    async def make(self, part: mix.Trouble, dice: Dice) -> None:
        """Trouble of one kind, again and again, for ever."""
        while True:
            await aio.sleep(dice.seconds(part.every_s))
            match part:
                case mix.HostTrouble():
                    await self._hosts(part, dice)
                case mix.OperationTrouble():
                    await self._operations(part, dice)
                case mix.GuestTrouble():
                    self._guest(dice)
                case mix.StoreTroublePart():
                    await self._store(part, dice)
                case mix.CrashTrouble():
                    self._crash(part, dice)

    def end(self) -> None:
        """Nothing goes wrong any more, and all hosts are there."""
        self._driver.faults.clear()
        self._plane.trouble.probability = 0.0
        if self._plane.life is not None:
            self._plane.life.gate.put_out()
        self.cure()

    def cure(self) -> None:
        """Bring all hosts back."""
        for cure in (HostFault.HEAL, HostFault.REVIVE):
            self._driver.faults.strike(cure, Scope())

    def _note(self, what: str, where: object = "") -> None:
        self._journal.append(Struck(what, str(where)))

    async def _hosts(self, part: mix.HostTrouble, dice: Dice) -> None:
        scope = dice.pick(self._scopes[dice.weighted(part.scopes)])
        fault = dice.weighted(part.faults)
        self._strike(fault, scope)
        await aio.sleep(dice.between(part.lasts_s))
        if fault in _CURES:
            self._strike(_CURES[fault], scope)

    def _strike(self, fault: HostFault, scope: Scope) -> None:
        self._note(fault, scope)
        self._driver.faults.strike(fault, scope)

    async def _operations(self, part: mix.OperationTrouble, dice: Dice) -> None:
        kind = dice.weighted(part.faults)
        fault = OperationFault(
            kind,
            dice.weighted({None: sum(part.operations.values()) / 10, **part.operations}),
            dice.pick(self._scopes["host"]) if dice.chance(0.5) else Scope(),
            count=None if dice.chance(0.3) else dice.whole(1, 5),
            probability=dice.between(part.probability),
            seconds=dice.between(part.delay_s) if kind is FaultKind.DELAY or dice.chance(0.3) else 0.0,
        )
        self._note(f"{kind} {fault.operation}", fault.scope)
        number = self._driver.faults.order(fault)
        await aio.sleep(dice.between(part.lasts_s))
        self._driver.faults.withdraw(number)

    def _guest(self, dice: Dice) -> None:
        running = [
            (host, copy.key)
            for host, copies in self._driver.truth().items()
            for copy in copies
            if copy.power_state is PowerState.RUNNING
        ]
        if running:
            host, server = dice.pick(running)
            self._note("guest crash", server)
            self._driver.crash(host, server)

    async def _store(self, part: mix.StoreTroublePart, dice: Dice) -> None:
        self._note("store")
        self._plane.trouble.probability = dice.between(part.probability)
        await aio.sleep(dice.between(part.lasts_s))
        self._plane.trouble.probability = 0.0

    def _crash(self, part: mix.CrashTrouble, dice: Dice) -> None:
        life = self._plane.life
        if life is not None:
            passages = dice.whole(*part.passages)
            self._note("fuse", passages)
            life.gate.light(passages)
