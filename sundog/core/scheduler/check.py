"""``check_policy``: does a policy keep what is asked of one? In the spirit of Gymnasium's ``check_env``.

It plays small worlds that hold what real ones hold (hosts of several sizes, down, disabled, over capacity, that come
and go; traits, zones, devices, server groups, demands that depend on the machine) and watches. The first thing that is
wrong is a ``PolicyError`` that says what, where, and what to do.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

import numpy as np

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler.explain import explain
from sundog.core.scheduler.hosts import Floats, HostView, request_text
from sundog.core.scheduler.policies import Outlook, Policy, load_policy
from sundog.core.scheduler.request import Devices, Request, ServerGroup, Shape, make_shape
from sundog.core.scheduler.scheduler import Decision, NoValidHost, Scheduler
from sundog.errors import InputError, PolicyError

_GUIDE: Final = "see docs/howto/own-policy.md"


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """What :func:`check_policy` saw of a policy that is in order.

    ``decisions`` were taken in ``worlds``; ``forms`` are the forms of it that were compared. ``skipped`` are worlds
    that its ``prepare`` refused, with the reason.
    """

    policy: str
    decisions: int
    worlds: tuple[str, ...]
    forms: tuple[str, ...]
    skipped: tuple[str, ...]


def check_policy(policy: Policy | str, *, name: str = "") -> PolicyCheck:
    """Check a policy: an object, a class, or a name such as ``best-fit`` or ``module:Class``.

    - it gives the same answer to the same question, asked again, in a run of its own, and with explaining in between;
    - it chooses feasible hosts, and as many devices with room as are asked;
    - it changes nothing: not the pool, the view, the request, nor what later decisions depend on;
    - its scores are one number a host, none of them NaN on a feasible host, and so are the parts it breaks them into;
    - ``host_score``, plain and compiled by Numba, gives the same bits as ``score``.

    Raises: PolicyError for the first of these that does not hold; its attribute ``check`` is one of ``shape``, ``nan``,
    ``answer``, ``determinism``, ``explain``, ``mutation``, ``host_score``, ``compiled``, ``contract``. InputError for a
    name that is no policy.
    """
    if isinstance(policy, str):
        name, policy = name or policy, load_policy(policy)
    elif isinstance(policy, type):
        name, policy = name or policy.__name__, policy()
    name = name or type(policy).__name__
    checker = _Checker(name, policy)
    checker.contract()
    decisions, played, skipped = 0, [], []
    for world in _worlds():
        try:
            checker.play(world, watch=True)
        except InputError as exc:
            skipped.append(f"{world.name}: {exc.message}")
            continue
        plain, again, explained = checker.play(world), checker.play(world), checker.play(world, curious=True)
        checker.compare(world, plain, again, "determinism", "a second run from the same state", _SAME_AGAIN)
        checker.compare(world, plain, explained, "explain", "a run with explaining in between", _EXPLAINING)
        decisions += len(plain)
        played.append(world.name)
    if not played:
        checker.fail("contract", f"refuses every world: {skipped[0]}", "accept at least a fleet and workload as simple")
    return PolicyCheck(name, decisions, tuple(played), checker.forms, tuple(skipped))


_SAME_AGAIN: Final = "use hosts.uniform(draw) for chance, no clock, no iteration over sets, no state outside the object"
_EXPLAINING: Final = (
    "explaining asks the policy without placing anything: keep no count of the calls, and draw only from hosts.uniform"
)


# ---------------------------------------------------------------- the worlds it is tried in


@dataclass(frozen=True, slots=True)
class _World:
    """A pool to be made, and steps: a request to place, or something else that happens to the pool."""

    name: str
    pool: Callable[[], Pool]
    steps: tuple[Request | Callable[[Scheduler], object], ...]


def _worlds() -> Iterator[_World]:
    flat = [make_shape(resources) for resources in _SIZES]
    apart, near = ServerGroup("apart", "soft-anti-affinity"), ServerGroup("near", "soft-affinity")
    strict, together = ServerGroup("strict", "anti-affinity"), ServerGroup("together", "affinity")
    yield _World("a mixed fleet", _mixed_fleet, tuple(Request(_turn(flat, i), id=f"s{i}") for i in range(45)))
    yield _World("one host", lambda: _fleet(1), tuple(Request(_turn(flat, i)) for i in range(9)))
    happenings: list[Request | Callable[[Scheduler], object]] = [Request(_turn(flat, i)) for i in range(24)]
    happenings[4:4] = [lambda s: s.pool.set_status(1, up=False), lambda s: s.pool.set_status(3, enabled=False)]
    happenings[9:9] = [lambda s: s.release(0), lambda s: s.release(2)]
    happenings[12:12] = [lambda s: s.pool.set_inventory(0, {"VCPU": 1, "MEMORY_MB": 4096}), _remove_empty_host]
    happenings[18:18] = [lambda s: s.pool.add_provider("late", {"VCPU": 64, "MEMORY_MB": 65536}, zone="z1")]
    happenings[22:22] = [lambda s: s.pool.set_status(1, up=True)]
    yield _World("hosts that fail, shrink, go and come", lambda: _fleet(6), tuple(happenings))
    limited = [
        make_shape({"VCPU": 1}, required_traits=["CUSTOM_FAST"]),
        make_shape({"VCPU": 2, "MEMORY_MB": 512}, zone="z1"),
        make_shape({"VCPU": 1, "MEMORY_MB": 256}, any_traits=[["CUSTOM_FAST", "CUSTOM_BIG"]]),
        make_shape({"VCPU": 1, "MEMORY_MB": 256}, variants={"CUSTOM_FAST": {"VCPU": 1}, "CUSTOM_BIG": _SIZES[1]}),
    ]
    by_name = [Request(flat[0], force_hosts=("h2", "h3")), Request(flat[0], ignore_hosts=("h0",))]
    yield _World(
        "traits, zones and demands by machine",
        _mixed_fleet,
        (*(Request(_turn(limited, i)) for i in range(16)), *by_name),
    )
    groups = [Request(flat[0], group) for group in (apart, near, strict, together) for _ in range(4)]
    yield _World("server groups", lambda: _fleet(4), tuple(groups))
    gpus = [
        make_shape({"VCPU": 2, "MEMORY_MB": 256}, devices=Devices((("PGPU", share),), count), any_traits=models)
        for share, count, models in (
            (0.5, 1, ()),
            (1.0, 2, ()),
            (0.25, 1, [["CUSTOM_FAST"]]),
            (1.0, 1, ()),
            (0.3, 1, ()),
        )
    ]
    yield _World("GPUs", _gpu_fleet, tuple(Request(_turn([*gpus, flat[0]], i)) for i in range(24)))


_SIZES: Final = (
    {"VCPU": 1.0, "MEMORY_MB": 512.0},
    {"VCPU": 4.0, "MEMORY_MB": 1024.0},
    {"VCPU": 2.0, "MEMORY_MB": 8192.0},
    {"VCPU": 0.5},
    {"VCPU": 8.0, "MEMORY_MB": 2048.0, "DISK_GB": 40.0},
    {"MEMORY_MB": 300.0},
)


def _turn(shapes: Sequence[Shape], number: int) -> Shape:
    """The shapes in an order that neither repeats too soon nor needs dice."""
    return shapes[(number * number + number // 3) % len(shapes)]


def _classes() -> ResourceClasses:
    return ResourceClasses([ResourceClass("VCPU", 10), "MEMORY_MB", "DISK_GB", ResourceClass("PGPU", 100)])


def _fleet(hosts: int) -> Pool:
    pool = Pool(_classes())
    pool.add_providers([f"h{i}" for i in range(hosts)], {"VCPU": 16, "MEMORY_MB": 16384, "DISK_GB": 500})
    return pool


def _mixed_fleet() -> Pool:
    pool = Pool(_classes())
    kinds: tuple[tuple[dict[str, Inventory | float], list[str], str | None], ...] = (
        ({"VCPU": Inventory(8, 1, 2.0), "MEMORY_MB": 8192, "DISK_GB": 100}, ["CUSTOM_FAST"], None),
        ({"VCPU": 32, "MEMORY_MB": Inventory(65536, 1024), "DISK_GB": 1000}, ["CUSTOM_BIG"], "z1"),
        ({"VCPU": 16, "MEMORY_MB": 4096, "DISK_GB": 100}, [], "z2"),
    )
    for number in range(9):
        inventory, traits, zone = kinds[number % 3]
        pool.add_provider(f"h{number}", inventory, traits=traits, zone=zone)
    pool.set_status(4, up=False)
    pool.set_status(7, enabled=False)
    return pool


def _gpu_fleet() -> Pool:
    pool = Pool(_classes())
    for number, gpus in enumerate((4, 0, 2, 8, 2)):
        traits = ["CUSTOM_FAST"] if number % 2 else ["CUSTOM_BIG"]
        row = pool.add_provider(f"h{number}", {"VCPU": 24, "MEMORY_MB": 16384, "DISK_GB": 100}, traits=traits)
        pool.add_providers([f"h{number}:gpu{i}" for i in range(gpus)], {"PGPU": 1}, parent=row)
    return pool


def _remove_empty_host(scheduler: Scheduler) -> None:
    pool = scheduler.pool
    empty = [int(row) for row in pool.roots() if not pool.claims[row]]
    if empty:
        pool.remove_provider(empty[-1])


# ---------------------------------------------------------------- the checks


class _Checker:
    """The checks on one policy, each of which speaks of it by name."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.name = name
        self.policy = policy
        self.scores = callable(getattr(policy, "score", None))
        self.chooses = callable(getattr(policy, "choose", None))
        self.by_host = callable(getattr(policy, "host_score", None))
        self.compiled: Callable[..., float] | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that the policy has."""
        named = {"score": self.scores, "choose": self.chooses, "host_score": self.by_host, "compiled": self.by_host}
        return tuple(form for form, has in named.items() if has)

    def fail(self, check: str, what: str, advice: str, **facts: Any) -> NoReturn:
        raise PolicyError(
            f"policy {self.name} {what}. What to do: {advice}; {_GUIDE}", policy=self.name, check=check, **facts
        )

    def contract(self) -> None:
        """What can be seen without a world."""
        if not (self.scores or self.chooses):
            self.fail("contract", "has neither score nor choose", "give it score(self, request, hosts)")
        if self.by_host and not self.scores:
            self.fail(
                "contract", "has host_score but no score", "give it the vectorised score(self, request, hosts) too"
            )
        if self.by_host and self.chooses:
            self.fail(
                "contract",
                "has both choose and host_score, and the compiled path would not ask choose",
                "leave one of them out",
            )
        if self.by_host and not isinstance(
            next((vars(made)["host_score"] for made in type(self.policy).__mro__ if "host_score" in vars(made)), None),
            staticmethod,
        ):
            self.fail(
                "contract", "has a host_score that is no staticmethod", "put @staticmethod above it, without self"
            )
        self.fresh()

    def fresh(self) -> Policy:
        """A copy of the policy, as it was given: every run starts with one."""
        try:
            return copy.deepcopy(self.policy)
        except Exception as exc:  # noqa: BLE001 - the user's code: whatever it raises is named
            self.fail(
                "contract",
                f"cannot be copied ({type(exc).__name__}: {exc})",
                "keep plain values in it, no open files and no locks",
            )

    # ------------------------------------------------------------ runs

    def play(self, world: _World, *, watch: bool = False, curious: bool = False) -> list[str | None]:
        """Play a world; returns where each request went, devices too. ``watch`` checks everything at each decision."""
        policy, pool = self.fresh(), world.pool()
        self._prepare(policy, world)
        scheduler = Scheduler(pool, policy, policy_name=self.name, seed=20)
        answers: list[str | None] = []
        for number, step in enumerate(world.steps):
            if not isinstance(step, Request):
                step(scheduler)
                continue
            scheduler.at(60.0 * number, len(answers))
            where = f"at step {number} of {world.name}, for {request_text(step)}"
            if curious:
                self._guarded(partial(explain, scheduler, step), where)
            if watch:
                self._watch(scheduler, policy, step, where)
            decision = self._guarded(partial(scheduler.decide, step), where)
            if isinstance(decision, NoValidHost):
                answers.append(None)
                continue
            if watch:
                self._feasible(scheduler, decision, where)
            scheduler.commit(decision, len(answers))
            answers.append(", ".join(pool.name(row) for row, _ in decision.claims))
        return answers

    def compare(
        self, world: _World, one: list[str | None], other: list[str | None], check: str, what: str, advice: str
    ) -> None:
        """Two runs of one world must be alike."""
        for number, (here, there) in enumerate(zip(one, other, strict=True)):
            if here != there:
                self.fail(check, f"chose {here} for request {number} of {world.name}, and {there} in {what}", advice)

    def _prepare(self, policy: Policy, world: _World) -> None:
        if not callable(getattr(policy, "prepare", None)):
            return
        outlook = _outlook(world)
        before = _photograph(outlook.pool)
        columns = copy.deepcopy((outlook.shape, outlook.arrival_s, outlook.lifetime_s))
        policy.prepare(outlook)
        after = (outlook.shape, outlook.arrival_s, outlook.lifetime_s)
        if not _same(before, _photograph(outlook.pool)) or not _same(columns, after):
            self.fail(
                "mutation", f"changed the outlook that prepare was given for {world.name}", "copy what it changes"
            )

    def _guarded(self, ask: Callable[[], Any], where: str) -> Any:
        """``ask()``; what the scheduler refuses of its answer is told with where it was and what to do."""
        try:
            return ask()
        except PolicyError as exc:
            text = exc.message
            check, advice = "answer", "answer with the index of a host for which hosts.feasible is true"
            if "shape" in text:
                check, advice = "shape", "give one number for each of the hosts.n hosts"
            elif "NaN" in text:
                check, advice = "nan", "divide only where the divisor is not 0, as with np.divide(..., where=...)"
            elif "raised" in text:
                check, advice = "answer", "make it answer for every request and fleet; 0 or 1 hosts may be feasible"
                if "read-only" in text:
                    check, advice = "mutation", "work on a copy of what hosts gives"
            raise PolicyError(
                f"{text} ({where}). What to do: {advice}; {_GUIDE}", policy=self.name, check=check
            ) from exc

    # ------------------------------------------------------------ one decision

    def _watch(self, scheduler: Scheduler, policy: Policy, request: Request, where: str) -> None:
        demand, feasible = self._guarded(lambda: scheduler.feasible(request), where)
        if not feasible.any():
            return
        view = HostView(scheduler.hosts, demand, feasible)
        asked = copy.deepcopy(request)
        before = _state(scheduler, view)

        def untouched(after: str) -> None:
            if request != asked:
                self.fail("mutation", f"changed the request {after} ({where})", "leave the request alone")
            for what, value in _state(scheduler, view).items():
                if not _same(value, before[what]):
                    self.fail("mutation", f"changed {what} {after} ({where})", "work on a copy of what hosts gives")

        scores = self._guarded(lambda: scheduler.scores(request, view), where)
        untouched("while scoring")
        if scores is not None:
            again = self._guarded(lambda: scheduler.scores(request, view), where)
            if not _same(scores[feasible], again[feasible]):
                self.fail("determinism", f"scored twice, differently ({where})", _SAME_AGAIN)
            for part, values in self._guarded(lambda: scheduler.breakdown(request, view), where).items():
                if np.isnan(values[feasible]).any():
                    self.fail(
                        "nan", f"broke its score down with NaN in {part} ({where})", "give a number for each host"
                    )
            untouched("while breaking its score down")
        one, two = (self._guarded(lambda: scheduler.decide(request), where) for _ in range(2))
        untouched("while choosing")
        if one != two:
            self.fail(
                "determinism", f"chose {one.host} and then {two.host}, or other devices there, in one state ({where})",
                _SAME_AGAIN,
            )  # fmt: skip
        if self.by_host and scores is not None:
            self._forms(policy, view, scores, where)
            untouched("in host_score")

    def _feasible(self, scheduler: Scheduler, decision: Decision, where: str) -> None:
        """What was decided can be claimed. The scheduler sees to hosts; this is about devices."""
        refusal = scheduler.pool.refusal(decision.claims)
        if refusal is not None:
            self.fail("answer", f"chose devices that cannot be claimed: {refusal.reason} ({where})", "choose others")

    def _forms(self, policy: Policy, view: HostView, scores: Floats, where: str) -> None:
        """``score``, ``host_score`` and the compiled ``host_score``: the same bits for every feasible host."""
        parameters = self._parameters(policy, view, where)
        columns = view.in_units()
        scale = np.asarray([each[3] for each in columns], dtype=np.float64)
        by_host = [[np.broadcast_to(column, (view.n,)) for column in each[:3]] for each in columns]
        for host in np.flatnonzero(view.feasible).tolist():
            free, asked, capacity = (
                np.asarray([each[part][host] for each in by_host], dtype=np.int64) for part in range(3)
            )
            for form, function in (("host_score", policy.host_score), ("compiled", self._compiled())):
                given = [each.copy() for each in (free, asked, capacity, scale, parameters)]
                try:
                    found = np.float64(function(*given))
                except Exception as exc:  # noqa: BLE001 - the user's code, or Numba about it
                    self.fail(
                        form,
                        f"raised {type(exc).__name__} in {_FORMS[form]}: {_first_lines(exc)} ({where})",
                        _ADVICE[form],
                    )
                if not _same(given, [free, asked, capacity, scale, parameters]):
                    self.fail(
                        "mutation", f"wrote to an argument of {_FORMS[form]} ({where})", "work on local variables"
                    )
                if not _same(np.asarray(found), np.asarray(scores[host])):
                    self.fail(
                        form,
                        f"scored host {host} as {scores[host]!r} in score and as {found!r} in {_FORMS[form]} ({where})",
                        _ADVICE[form],
                    )

    def _parameters(self, policy: Policy, view: HostView, where: str) -> Floats:
        if not callable(getattr(policy, "parameters", None)):
            return np.empty(0)
        try:
            return np.asarray(policy.parameters(view.classes_asked()), dtype=np.float64).reshape(-1)
        except Exception as exc:  # noqa: BLE001 - the user's code
            self.fail(
                "host_score", f"raised {type(exc).__name__} in parameters: {exc} ({where})",
                "let parameters(classes) give a sequence of numbers",
            )  # fmt: skip

    def _compiled(self) -> Callable[..., float]:
        if self.compiled is None:
            from numba import njit  # costs a second to import, and only policies with a host_score need it

            self.compiled = njit(self.policy.host_score)
        return self.compiled


_FORMS: Final = {"host_score": "host_score", "compiled": "host_score compiled by Numba"}
_ADVICE: Final = {
    "host_score": "do the same operations in the same order in both: sums from 0.0 over the classes in order, no **, "
    "no np.dot, nothing that depends on other hosts",
    "compiled": "write plain code that numba.njit compiles: loops, numbers, math.sqrt; no objects and no lists of them",
}


def _first_lines(exc: Exception) -> str:
    """What an exception says, in a line: Numba's go over a page."""
    return " ".join(" ".join(line for line in str(exc).splitlines() if line.strip()).split())[:300]


def _outlook(world: _World) -> Outlook:
    """What a study would tell of a world before it is played."""
    requests = [step for step in world.steps if isinstance(step, Request)]
    shapes = tuple(dict.fromkeys(request.shape for request in requests))
    number = {shape: index for index, shape in enumerate(shapes)}
    code = np.asarray([number[request.shape] for request in requests], dtype=np.int32)
    return Outlook(
        world.pool(), shapes, code, np.arange(len(requests), dtype=np.float64), np.full(len(requests), np.inf)
    )


def _state(scheduler: Scheduler, view: HostView) -> dict[str, Any]:
    """Everything that a decision may read and must not change."""
    hosts, pool = scheduler.hosts, scheduler.pool
    groups = {name: dict(scheduler.groups.members(name)) for name in ("apart", "near", "strict", "together")}
    demand = (view.demand.columns, view.demand.units.copy(), view.demand.amounts, view.demand.devices)
    return {
        "the pool": _photograph(pool),
        "what later decisions depend on (seed, number of the decision, last host, time)": (
            hosts.seed, hosts.sequence, hosts.last_row, hosts.now, hosts.consumer,
        ),
        "the members of server groups": groups,
        "hosts.feasible": view.feasible.copy(),
        "the demand": demand,
    }  # fmt: skip


def _photograph(pool: Pool) -> list[Any]:
    """All that a pool tells about its providers, as values of its own."""
    columns = [value.copy() for name, value in vars(pool).items() if isinstance(value, np.ndarray) and name[0] != "_"]
    rows = [row for root in pool.roots().tolist() for row in pool.tree(root)]
    facts = [(pool.name(row), pool.zone_of(row), pool.traits.of(row), pool.aggregates.of(row)) for row in rows]
    return [columns, facts, pool.facts_version, pool.topology_version]


def _same(one: Any, other: Any) -> bool:
    """Deeply equal; floating-point numbers by their bits."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        pairs = itertools.zip_longest(one, other, fillvalue=None)
        return len(one) == len(other) and all(_same(a, b) for a, b in pairs)
    return bool(one == other)
