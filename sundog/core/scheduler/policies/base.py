"""What a policy is, and how one is found by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from sundog.core.scheduler.policies.fit import BestFit, FirstFit, NextFit, RoundRobin, WorstFit
from sundog.core.scheduler.policies.gpu import Fgd, GpuBestFit, GpuClustering, GpuDotProduct, GpuPacking, GpuRandom
from sundog.core.scheduler.policies.lifetime import Nilas
from sundog.core.scheduler.policies.nova import Nova
from sundog.core.scheduler.policies.rand import PowerOfK, Random
from sundog.core.scheduler.policies.vector import Cosine, DotProduct, L2Norm, PerpDistance, WeightedDotProduct
from sundog.errors import InputError

Policy: TypeAlias = Any
"""Any object with ``score(request, hosts)`` or ``choose(request, hosts)``: duck-typed, nothing to inherit from."""

BUILT_IN: Final[Mapping[str, type]] = {
    "first-fit": FirstFit,
    "next-fit": NextFit,
    "best-fit": BestFit,
    "worst-fit": WorstFit,
    "random": Random,
    "round-robin": RoundRobin,
    "power-of-k": PowerOfK,
    "dot-product": DotProduct,
    "weighted-dot-product": WeightedDotProduct,
    "cosine": Cosine,
    "l2-norm": L2Norm,
    "perp-distance": PerpDistance,
    "fgd": Fgd,
    "gpu-random": GpuRandom,
    "gpu-packing": GpuPacking,
    "gpu-clustering": GpuClustering,
    "gpu-best-fit": GpuBestFit,
    "gpu-dot-product": GpuDotProduct,
    "nilas": Nilas,
    "nova": Nova,
}

ELSEWHERE: Final[Mapping[str, str]] = {"optimal": "sundog.scenarios.optimal:Optimal"}
"""Policies by name that need more than the core has, and where they are; imported when they are asked for."""


def policy_names() -> tuple[str, ...]:
    """Names of the built-in policies of the core."""
    return tuple(BUILT_IN)


def load_policy(name: str, parameters: Mapping[str, Any] | None = None) -> Policy:
    """The policy called ``name`` (a built-in one, or ``module:Class``), made with ``parameters``.

    Raises: InputError for an unknown name, a module that cannot be imported, a class that is no policy, or parameters
    that it does not take.
    """
    given = dict(parameters or {})
    where = ELSEWHERE.get(name, name)
    factory = _imported(where) if ":" in where else BUILT_IN.get(where)
    if factory is None:
        near = difflib.get_close_matches(name, [*BUILT_IN, *ELSEWHERE], 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        built_in = ", ".join([*BUILT_IN, *ELSEWHERE])
        raise InputError(
            f"there is no policy {name!r}; {hint}built in are {built_in}; your own is 'module:Class'", policy=name
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError) as exc:
        raise InputError(f"policy {name!r} is not a class that Python code can be asked about: {exc}") from exc
    try:
        signature.bind(**given)
    except TypeError as exc:
        rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        known = [each.name for each in signature.parameters.values() if each.kind not in rest]
        raise InputError(
            f"policy {name!r} does not take these parameters: {exc}; it takes {', '.join(known) or 'none'}", policy=name
        ) from exc
    try:
        policy = factory(**given)
    except ValueError as exc:
        raise InputError(f"policy {name!r}: {exc}", policy=name) from exc
    except Exception as exc:  # the user's code: whatever it raises is named together with the policy
        raise InputError(f"policy {name!r} raised {type(exc).__name__}: {exc}", policy=name) from exc
    if not (callable(getattr(policy, "score", None)) or callable(getattr(policy, "choose", None))):
        raise InputError(f"{name!r} is no policy: it has neither score(request, hosts) nor choose(request, hosts)")
    return policy


def _imported(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    if not (module_name.replace(".", "_").isidentifier() and attribute.isidentifier()) or module_name.startswith("."):
        raise InputError(f"policy {name!r} is not of the form 'module:Class'", policy=name)
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        raise InputError(
            f"policy {name!r}: module {module_name!r} cannot be imported: {exc}; is its folder the current one, or on "
            "PYTHONPATH?",
            policy=name,
        ) from exc
    except Exception as exc:  # the user's code: a syntax error, or whatever it raises while it is imported
        raise InputError(f"policy {name!r}: module {module_name!r} raised {type(exc).__name__}: {exc}") from exc
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise InputError(f"policy {name!r}: module {module_name!r} has no {attribute!r}", policy=name) from None
