"""What a sweep is to play: the keys that vary, their combinations, the seeds, and a check of all of it beforehand."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.load import load_scenario
from sundog.scenarios.lock import POLICY_FILE, with_paths
from sundog.scenarios.run import input_files
from sundog.scenarios.schema import Loaded, Scenario
from sundog.units import parse_duration, parse_mebibytes

MOST_VALUES: Final = 100_000
"""Values that one key may take, and cells that one sweep may have: more than that is a slip of the keyboard."""

_NUMBER: Final = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*"
_RANGE: Final = re.compile(f"{_NUMBER}:{_NUMBER}:{_NUMBER}")
_OPEN, _CLOSE, _QUOTES = "[{(", "]})", "'\""

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Vary:
    """A key of the scenario and the values it takes: as YAML texts, and as what tables and figures call them."""

    key: str
    texts: tuple[str, ...]
    labels: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """One value for each key that varies, and the scenario with them in it, its paths absolute."""

    number: int
    labels: Mapping[str, Value]
    options: tuple[str, ...]
    loaded: Loaded


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the sweep: a combination and a seed."""

    combination: Combination
    replicate: int
    seed: int

    @property
    def key(self) -> str:
        """What the cell is known by, whatever else the sweep has."""
        return json.dumps([*self.combination.options, self.seed])

    @property
    def loaded(self) -> Loaded:
        """The scenario of the cell."""
        at = self.combination.loaded
        scenario = at.scenario.model_copy(update={"seed": self.seed})
        return replace(at, scenario=scenario, document={**at.document, "seed": self.seed})

    @property
    def inputs(self) -> str:
        """Equal for cells that have the same requests to play: better played by one process, one after the other."""
        scenario = self.combination.loaded.scenario
        return repr((scenario.workload, scenario.horizon, self.seed))


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells of a sweep, and what was asked for.

    ``base`` is the scenario without the values that vary. ``inputs`` are traces and other files that the cells read;
    ``modules`` are the names of policy modules by their file.
    """

    source: str
    base: Loaded
    options: tuple[str, ...]
    varied: tuple[Vary, ...]
    seed0: int
    seeds: tuple[int, ...]
    combinations: tuple[Combination, ...]
    inputs: tuple[Path, ...]
    modules: Mapping[Path, str]

    @property
    def cells(self) -> Iterator[Cell]:
        """The cells in the order of the results: seeds of the first combination, of the second, and so on."""
        for combination in self.combinations:
            for replicate, seed in enumerate(self.seeds):
                yield Cell(combination, replicate, seed)

    def __len__(self) -> int:
        return len(self.combinations) * len(self.seeds)


def plan_sweep(
    source: str | Path,
    varied: Sequence[str],
    *,
    replicates: int,
    options: Sequence[str] = (),
    seed0: int | None = None,
) -> Plan:
    """The cells of a sweep, each combination checked against the scenario form, its policy and files looked for.

    ``varied`` are ``key=values`` as for ``--vary``; ``options`` are as for ``--set``. The seeds are derived from
    ``seed0``, or else from the scenario's own seed, each from a stream of its own: more of them change none.
    Raises: InputError for whatever is wrong, naming the value that is to blame.
    """
    keys = [parse_vary(option) for option in varied]
    _refuse_clashes(keys, options)
    base = load_scenario(source, [*options, *([f"seed={seed0}"] if seed0 is not None else [])])
    seeds = derived_seeds(base.scenario.seed, replicates)
    count = len(seeds)
    for each in keys:
        count *= len(each.texts)
    if count > MOST_VALUES:
        raise InputError(f"the sweep would have {count:,} cells; the most is {MOST_VALUES:,}", cells=count)
    combinations: list[Combination] = []
    inputs: dict[Path, None] = {}
    modules: dict[Path, str] = {}
    for number, picked in enumerate(itertools.product(*(range(len(each.texts)) for each in keys))):
        given = tuple(f"{each.key}={each.texts[i]}" for each, i in zip(keys, picked, strict=True))
        labels = {each.key: each.labels[i] for each, i in zip(keys, picked, strict=True)}
        try:
            loaded = load_scenario(source, [*options, *given], seed=base.scenario.seed)
            found = input_files(loaded)
        except InputError as exc:
            raise InputError(_blaming(exc.message, given)) from None
        inputs |= {path: None for key, path in found.items() if key != POLICY_FILE}
        if POLICY_FILE in found:
            modules[found[POLICY_FILE]] = loaded.scenario.policy.name.partition(":")[0]
        combinations.append(Combination(number, labels, given, _settled(loaded, found)))
    return Plan(
        source=str(source),
        base=base,
        options=tuple(options),
        varied=tuple(keys),
        seed0=base.scenario.seed,
        seeds=seeds,
        combinations=tuple(combinations),
        inputs=tuple(sorted(inputs)),
        modules=dict(sorted(modules.items())),
    )


def derived_seeds(seed0: int, count: int) -> tuple[int, ...]:
    """``count`` seeds from one, below 2^53 so that every reader of JSON gets them right; the first n never change."""
    if count < 1:
        raise InputError(f"--seeds {count}: give at least 1")
    streams = Streams(seed0).child("sweep")
    return tuple(int(streams.fresh(f"replicate-{i}").integers(2**53)) for i in range(count))


def _refuse_clashes(keys: Sequence[Vary], options: Sequence[str]) -> None:
    names = [each.key for each in keys]
    fixed = {option.partition("=")[0] for option in options}
    for name in names:
        if name == "seed":
            raise InputError("--vary seed: seeds are not varied as a key; say how many with --seeds")
        if names.count(name) > 1:
            raise InputError(f"--vary {name} is given twice; write all its values into one")
        if name in fixed:
            raise InputError(f"{name} is given with --set and with --vary; leave one of them out")


def _blaming(message: str, given: Sequence[str]) -> str:
    for option in given:
        message = message.replace(f"--set {option}", f"--vary {option}")
    return message if not given or "--vary" in message else f"{message} (with --vary {' --vary '.join(given)})"


def _settled(loaded: Loaded, files: Mapping[str, Path]) -> Loaded:
    """The same with absolute paths, so that it means the same to a process in another folder."""
    document = with_paths(loaded.document, {key: path for key, path in files.items() if key != POLICY_FILE})
    origin = replace(loaded.origin, path=loaded.path.resolve())
    return Loaded(scenario=Scenario.model_validate(document), document=document, origin=origin)


# ---------------------------------------------------------------- values


def parse_vary(option: str) -> Vary:
    """``key=a,b,c`` or ``key=start:stop:step``, inclusive, as a key and its values.

    Values are YAML; commas in brackets or quotes do not part them: ``policy=best-fit,{name: nova, x: 1}``. A range is
    of numbers, with a unit if each of the three has one: ``1 h:3 h:30 min``.
    Raises: InputError for a key or value that is missing, given twice or not YAML, and for an endless range.
    """
    key, equals, text = option.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"--vary {option}: write key=values, such as policy=best-fit,nova or fleet.0.count=10:50:10")
    texts: list[str] = []
    for part in _split(text, option):
        if not part:
            raise InputError(f"--vary {option}: a value is empty; part values by one comma")
        texts.extend(_range(match, option) if (match := _RANGE.fullmatch(part)) else [part])
        if len(texts) > MOST_VALUES:
            raise InputError(f"--vary {option}: more than {MOST_VALUES:,} values")
    labels = tuple(_label(each, option) for each in texts)
    twice = [str(label) for i, label in enumerate(labels) if label in labels[:i]]
    if twice:
        raise InputError(f"--vary {option}: {twice[0]} is given twice")
    return Vary(key, tuple(texts), labels)


def _split(text: str, option: str) -> list[str]:
    """``text`` at its commas that are in no brackets and no quotes."""
    parts, here, expected, quote = [], "", "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES and (not here.strip() or expected):
            quote = letter
        elif letter in _OPEN:
            expected += _CLOSE[_OPEN.index(letter)]
        elif letter in _CLOSE:
            if not expected.endswith(letter):
                raise InputError(f"--vary {option}: {letter!r} closes nothing")
            expected = expected[:-1]
        if letter == "," and not quote and not expected:
            parts.append(here.strip())
            here = ""
        else:
            here += letter
    if quote or expected:
        raise InputError(f"--vary {option}: {quote or expected[-1]!r} is missing at the end")
    return [*parts, here.strip()]


def _range(match: re.Match[str], option: str) -> list[str]:
    """The values of a range as texts: exact, so that 0.1:0.3:0.1 ends with 0.3."""
    units = match[2], match[4], match[6]
    scales = _scales(units, option)
    start, stop, step = (
        Decimal(number) * scale for number, scale in zip((match[1], match[3], match[5]), scales, strict=True)
    )
    if step == 0 or (stop - start) * step < 0:
        way = "0 leads nowhere" if step == 0 else f"a step of {match[5]} leads away from {match[3]}"
        raise InputError(f"--vary {option}: {way}; write start:stop:step")
    steps = int((stop - start) / step)
    if steps >= MOST_VALUES:
        raise InputError(f"--vary {option}: {steps + 1:,} values; the most is {MOST_VALUES:,}")
    unit = units[2] and f" {units[2]}"
    return [_decimal((start + i * step) / scales[2]) + unit for i in range(steps + 1)]


def _scales(units: tuple[str, str, str], option: str) -> tuple[Decimal, Decimal, Decimal]:
    """How much one of each unit is, in a common one."""
    if len(set(units)) == 1:
        return Decimal(1), Decimal(1), Decimal(1)
    if "" in units:
        raise InputError(f"--vary {option}: give a unit with each of the three numbers of a range, or with none")
    for parse in (parse_duration, parse_mebibytes):
        try:
            first, second, third = (Decimal(repr(parse(f"1 {unit}"))) for unit in units)
        except ValueError:
            continue
        return first, second, third
    raise InputError(f"--vary {option}: {', '.join(dict.fromkeys(units))} are not units of one kind")


def _decimal(number: Decimal) -> str:
    text = f"{number:.12f}" if number % 1 else f"{number:.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _label(text: str, option: str) -> Value:
    try:
        value = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError):
        raise InputError(f"--vary {option}: {text!r} is not valid YAML") from None
    return label_of(value) if isinstance(value, bool | int | float | str | Mapping | Sequence) else text


def label_of(value: Any) -> Value:
    """What tables call a value: itself if it is plain, ``name(key=value)`` for a policy with parameters."""
    return value if isinstance(value, bool | int | float | str) else _told(value)


def _told(value: Any, *, inside: bool = False) -> str:
    if isinstance(value, Mapping):
        told = ", ".join(f"{key}={_told(each, inside=True)}" for key, each in value.items() if key != "name")
        return f"{value['name']}({told})" if "name" in value else f"({told})" if inside else told
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_told(each, inside=True) for each in value)}]"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
