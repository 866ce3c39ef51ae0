"""The simulated driver against a small model: random operations and faults, alone and all at once.

Alone, an operation must leave exactly what the model says, whatever was ordered to go wrong with it. At once, with
hosts that fall meanwhile, what is left is taken as it is. Always: no copy runs twice, dead hosts run nothing, nothing
leaks. As a control plane does, it never asks two hosts for one generation: that of a copy tells its host.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sundog.backends.contract import HostState, PowerState
from sundog.backends.simulated import FaultKind, HostFault, OperationFault, Scope
from sundog.errors import BackendFailed, HostDown, OutcomeUnknown, SundogError
from sundog.runtime.warp import ProcessGenerator, WarpLoop, World
from tests.drivers import PLAIN, key, make_driver, make_image, make_spec

HOSTS = ("h0", "h1", "h2")
SERVERS = ("s0", "s1")
LIVE = ("running", "paused")

# Every copy by host and then (server, generation): its power state, and whether it is kept.
State = dict[str, dict[tuple[str, int], tuple[str, bool]]]


class Refused(Exception):
    """The model says that this does not happen."""


@dataclass(frozen=True)
class Step:
    """An operation: on which copy, and for moves with which target; ``new`` is the generation of a new copy."""

    operation: str
    host: str
    server: str
    generation: int
    target: str
    new: int
    start: bool


class Model:
    """What each operation does, in the plainest way."""

    def __init__(self, state: State) -> None:
        self.state = {host: dict(copies) for host, copies in state.items()}

    def play(self, step: Step) -> None:
        getattr(self, step.operation)(step)

    def copy(self, step: Step, *, kept: bool = False) -> tuple[str, bool]:
        found = self.state[step.host].get((step.server, step.generation))
        if found is None or found[0] == "nostate" or (found[1] and not kept):
            raise Refused
        return found

    def set(self, step: Step, power: str, kept: bool = False) -> None:
        self.state[step.host][step.server, step.generation] = (power, kept)

    def finished(self, host: str, server: str, generation: int) -> bool:
        power, kept = self.state[host].get((server, generation), ("nostate", False))
        if power != "nostate" and kept:
            raise Refused
        return power != "nostate"

    def alone(self, host: str, server: str, *but: int) -> None:
        if any(name == server and generation not in but for name, generation in self.state[host]):
            raise Refused

    def spawn(self, step: Step) -> None:
        if self.finished(step.host, step.server, step.new):
            power = self.state[step.host][step.server, step.new][0]
        else:
            self.alone(step.host, step.server, step.new)
            power = "shutdown"
        if step.start and power in ("shutdown", "crashed"):
            power = "running"
        self.state[step.host][step.server, step.new] = (power, False)

    def destroy(self, step: Step) -> None:
        self.state[step.host].pop((step.server, step.generation), None)

    def rebuild(self, step: Step) -> None:
        here = self.state[step.host]
        if self.finished(step.host, step.server, step.new):
            power = here[step.server, step.new][0]
        else:
            older = [gen for name, gen in here if name == step.server and gen < step.new]
            usable = [here[step.server, gen] for gen in older]
            bad = not usable or any(power == "nostate" or kept for power, kept in usable)
            if bad and (step.server, step.new) not in here:
                raise Refused
            self.alone(step.host, step.server, step.new, *older[:1])
            for gen in older:
                del here[step.server, gen]
            power = "shutdown"
        if step.start and power in ("shutdown", "crashed"):
            power = "running"
        here[step.server, step.new] = (power, False)

    def power_on(self, step: Step) -> None:
        power, _ = self.copy(step)
        self.set(step, power if power in LIVE else "running")

    def power_off(self, step: Step) -> None:
        self.copy(step)
        self.set(step, "shutdown")

    def reboot(self, step: Step) -> None:
        self.copy(step)
        self.set(step, "running")

    def change(self, step: Step, before: str, after: str) -> None:
        if self.copy(step)[0] not in (before, after):
            raise Refused
        self.set(step, after)

    def pause(self, step: Step) -> None:
        self.change(step, "running", "paused")

    def unpause(self, step: Step) -> None:
        self.change(step, "paused", "running")

    def suspend(self, step: Step) -> None:
        self.change(step, "running", "suspended")

    def resume(self, step: Step) -> None:
        self.change(step, "suspended", "running")

    def snapshot(self, step: Step) -> None:
        self.copy(step)

    def resize_begin(self, step: Step) -> None:
        _, kept = self.copy(step, kept=True)
        if self.finished(step.target, step.server, step.new):
            if kept:
                return
            raise Refused
        self.alone(step.target, step.server, step.new, *[step.generation] * (step.host == step.target))
        self.set(step, "shutdown", True)
        self.state[step.target][step.server, step.new] = ("shutdown", False)

    def resize_finish(self, step: Step) -> None:
        power, _ = self.copy(step)
        if power not in LIVE and step.start:
            self.set(step, "running")

    def resize_confirm(self, step: Step) -> None:
        found = self.state[step.host].get((step.server, step.generation))
        if found is not None and not found[1]:
            raise Refused
        self.destroy(step)

    def resize_revert(self, step: Step) -> None:
        power, kept = self.copy(step, kept=True)
        if kept:
            self.alone(step.host, step.server, step.generation)
        self.set(step, "running" if step.start and power == "shutdown" else power)

    def live_migrate(self, step: Step) -> None:
        if step.host == step.target:
            raise Refused
        if self.finished(step.target, step.server, step.new):
            if (step.server, step.generation) in self.state[step.host]:
                raise Refused
            return
        power, _ = self.copy(step)
        if power not in LIVE:
            raise Refused
        self.alone(step.target, step.server, step.new)
        self.state[step.target][step.server, step.new] = (power, False)
        self.destroy(step)


OPERATIONS = (
    "spawn", "destroy", "rebuild", "power_on", "power_off", "reboot", "pause", "unpause", "suspend", "resume",
    "snapshot", "resize_begin", "resize_finish", "resize_confirm", "resize_revert", "live_migrate",
)  # fmt: skip
MOVES = ("resize_begin", "live_migrate")


def make_step(operation: str, host: int, server: str, age: int, target: int, newer: int, start: bool) -> Step:
    where = target if operation in MOVES else host
    return Step(operation, HOSTS[host], server, 3 * age + host, HOSTS[target], 3 * newer + where, start)


STEPS = st.builds(
    make_step,
    st.sampled_from((*OPERATIONS, "spawn", "spawn", "live_migrate", "resize_begin")),
    st.integers(0, 2),
    st.sampled_from(SERVERS),
    st.integers(0, 1),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
)
PICKS = st.integers(0, 11)
QUARTERS = st.integers(0, 30).map(lambda quarters: quarters / 4)


class Sink:
    async def write(self, data: bytes) -> None:
        assert data


class DriverMachine(RuleBasedStateMachine):
    """One world, whose loop runs while a rule does."""

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        self.world = World(seed=seed)
        self.loop = WarpLoop(self.world)
        self.driver = make_driver(self.world, 3, timings=PLAIN.model_copy(update={"spread": 0.3, "host_boot": 20.0}))
        self.state: State = {host: {} for host in HOSTS}
        self.silent: dict[str, HostState] = {}
        self.world.process(self.watch())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def watch(self) -> ProcessGenerator:
        """No copy ever runs twice, not even for the blink of an eye."""
        while True:
            yield self.world.at(self.world.now + 0.3)
            running = [
                copy.key
                for copies in self.driver.truth().values()
                for copy in copies
                if copy.power_state in (PowerState.RUNNING, PowerState.PAUSED)
            ]
            assert len(running) == len(set(running)), running

    async def rest(self) -> None:
        """Until nothing is under way, no host boots, and what is to be noticed has been."""
        await asyncio.sleep(35)
        idle = type(self.driver.statistics())(0, 0, 0, 0, 0)
        while self.driver.statistics() != idle:
            await asyncio.sleep(5)

    def aim(self, step: Step, pick: int) -> Step:
        """Most steps are about a copy that is there; a step by chance alone would mostly miss."""
        there = [(host, *copy) for host in HOSTS for copy in self.state[host]]
        if not there or pick % 4 == 0:
            return step
        host, server, generation = there[pick % len(there)]
        where = step.target if step.operation in MOVES else host
        others = [copy[2] for copy in there if copy[:2] == (where, server) and copy[2] > generation]
        new = others[0] if others and pick % 3 == 0 else 3 * (generation // 3 + 1) + HOSTS.index(where)
        return replace(step, host=host, server=server, generation=generation, new=new)

    # -- one operation

    def ask(self, step: Step, deadline: float) -> Any:
        driver, copy = self.driver, key(step.server, step.generation)
        spec = make_spec(step.server, step.new, image=make_image(f"i{step.new}", mib=100 * step.new))
        match step.operation:
            case "spawn" | "rebuild":
                return getattr(driver, step.operation)(step.host, spec, deadline=deadline, start=step.start)
            case "reboot":
                return driver.reboot(step.host, copy, "HARD", deadline=deadline)
            case "snapshot":
                return driver.snapshot(step.host, copy, Sink(), deadline=deadline)
            case "resize_begin":
                return driver.resize_begin(step.host, copy, step.target, spec, deadline=deadline)
            case "resize_finish" | "resize_revert":
                return getattr(driver, step.operation)(step.host, copy, deadline=deadline, start=step.start)
            case "live_migrate":
                return driver.live_migrate(step.host, copy, step.target, generation=step.new, deadline=deadline)
        return getattr(driver, step.operation)(step.host, copy, deadline=deadline)

    def run(self, step: Step) -> str:
        """Do it, let everything come to rest, and say how it ended."""

        async def run() -> str:
            ended = "done"
            try:
                await self.ask(step, 500)
            except SundogError as error:
                kinds = (HostDown, BackendFailed, OutcomeUnknown)
                ended = next(kind.__name__ for kind in kinds if isinstance(error, kind))
            await self.rest()
            return ended

        return self.loop.run_until_complete(run())

    @rule(step=STEPS, pick=PICKS, fault=st.sampled_from([None, None, None, *FaultKind]))
    def operate(self, step: Step, pick: int, fault: FaultKind | None) -> None:
        step = self.aim(step, pick)
        if fault is not None:
            seconds = 50 if fault is FaultKind.DELAY else 0
            self.driver.faults.order(OperationFault(fault, step.operation, seconds=seconds))
        model = Model(self.state)
        try:
            model.play(step)
            expected = "done"
        except Refused:
            expected, model = "BackendFailed", Model(self.state)
        reached = [step.host, *[step.target] * (step.operation in MOVES)]
        if any(host in self.silent for host in reached):
            expected, model = "HostDown", Model(self.state)
        elif step.operation in MOVES and (
            step.new <= step.generation or (step.operation == "live_migrate" and step.host == step.target)
        ):
            expected, model = "BackendFailed", Model(self.state)
        elif fault in (FaultKind.FAIL, FaultKind.HANG):
            expected, model = "BackendFailed" if fault is FaultKind.FAIL else "OutcomeUnknown", Model(self.state)
        elif fault is FaultKind.LOSE:
            expected = "OutcomeUnknown"
        ended = self.run(step)
        self.driver.faults.clear()
        assert ended == expected, step
        self.state = model.state

    @rule(plan=st.lists(st.tuples(QUARTERS, STEPS, PICKS), min_size=2, max_size=8),
          strikes=st.lists(st.tuples(QUARTERS, st.sampled_from(HostFault), st.sampled_from(HOSTS)), max_size=2),
          deadline=st.sampled_from((0.0, 2.0, 500.0)), chance=st.sampled_from((None, *FaultKind)))  # fmt: skip
    def all_at_once(
        self,
        plan: list[tuple[float, Step, int]],
        strikes: list[tuple[float, HostFault, str]],
        deadline: float,
        chance: FaultKind | None,
    ) -> None:
        """Whatever happens: every caller gets an answer in time, and what is left comes to rest."""
        if chance is not None:
            self.driver.faults.order(OperationFault(chance, count=None, probability=0.3, seconds=2))

        async def operate(when: float, step: Step) -> None:
            await asyncio.sleep(when)
            begin = self.world.now
            try:
                await self.ask(step, deadline)
            except SundogError as error:
                assert isinstance(error, BackendFailed | OutcomeUnknown)  # noqa: PT017 - what it is, not that it is
            assert self.world.now - begin <= deadline + 1e-6

        async def strike(when: float, fault: HostFault, host: str) -> None:
            await asyncio.sleep(when)
            self.driver.faults.strike(fault, Scope(host=host))

        async def run() -> None:
            steps = [(when, self.aim(step, pick)) for when, step, pick in plan]
            await asyncio.gather(*(operate(*each) for each in steps), *(strike(*each) for each in strikes))
            self.driver.faults.clear()
            await self.rest()
            self.state = {
                host: {(c.uuid, c.generation): (str(c.power_state), c.kept) for c in copies}
                for host, copies in self.driver.truth().items()
            }
            found = await self.driver.hosts(deadline=1)
            self.silent = {host.uuid: host.state for host in found if host.state is not HostState.UP}

        self.loop.run_until_complete(run())

    # -- hosts

    @rule(host=st.sampled_from(HOSTS), fault=st.sampled_from(HostFault))
    def strike(self, host: str, fault: HostFault) -> None:
        before = dict(self.silent)

        async def run() -> dict[str, HostState]:
            self.driver.faults.strike(fault, Scope(host=host))
            await self.rest()
            return {each.uuid: each.state for each in await self.driver.hosts(deadline=1)}

        states = self.loop.run_until_complete(run())
        self.silent = {uuid: state for uuid, state in states.items() if state is not HostState.UP}
        if fault in (HostFault.KILL, HostFault.FENCE):
            off = {"running": "shutdown", "paused": "shutdown", "crashed": "shutdown"}
            here = self.state[host]
            self.state[host] = {copy: (off.get(power, power), kept) for copy, (power, kept) in here.items()}
        if fault is HostFault.FENCE:
            assert states[host] is HostState.FENCED
        elif fault in (HostFault.KILL, HostFault.PARTITION):
            assert states[host] is before.get(host, HostState.DOWN)

    @rule(host=st.sampled_from(HOSTS))
    def bring_back(self, host: str) -> None:
        async def run() -> HostState:
            self.driver.faults.strike(HostFault.HEAL, Scope(host=host))
            self.driver.faults.strike(HostFault.REVIVE, Scope(host=host))
            await self.rest()
            return next(each.state for each in await self.driver.hosts(deadline=1) if each.uuid == host)

        assert self.loop.run_until_complete(run()) is HostState.UP
        self.silent.pop(host, None)

    # -- always

    @invariant()
    def is_what_the_model_says(self) -> None:
        if hasattr(self, "driver"):
            found = {
                host: {(copy.uuid, copy.generation): (str(copy.power_state), copy.kept) for copy in copies}
                for host, copies in self.driver.truth().items()
            }
            assert found == self.state
            assert not any(copy.busy for copies in self.driver.truth().values() for copy in copies)

    @invariant()
    def nothing_leaks(self) -> None:
        if hasattr(self, "driver"):
            under_way = self.driver.statistics()
            assert under_way == type(under_way)(0, 0, 0, 0, 0)
            assert not self.driver.faults.orders()

    @invariant()
    def a_host_that_is_fenced_runs_nothing(self) -> None:
        if hasattr(self, "driver"):
            for host, state in self.silent.items():
                if state is HostState.FENCED:
                    assert not any(power in LIVE for power, _ in self.state[host].values())


DriverMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow]
)
TestDriverMachine = DriverMachine.TestCase
