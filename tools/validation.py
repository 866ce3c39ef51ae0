"""Measure what ``docs/explanation/validation.md`` shows: print its tables and draw its figures.

    python tools/validation.py [loss] [fgd] [eucalyptus] [bound] [--traces ../shared/traces] [--keep FOLDER]

Without a name, all parts. ``--keep`` writes the numbers measured to FOLDER, and takes them from there the next time.
The parts are measured by the same functions as in ``tests/proofs``, with the same seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from sundog.analysis.plots import LIGHT, picture  # noqa: E402

IMAGES = REPOSITORY / "docs" / "images"


def draw(name: str, inches: tuple[float, float], paint: Callable[..., None]) -> None:
    (light,) = picture(inches, paint, [LIGHT])
    (IMAGES / f"{name}.png").write_bytes(light)
    print(f"docs/images/{name}.png: {len(light) / 1024:.0f} KiB")


def table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


# ---------------------------------------------------------------- loss systems


def measure_loss(_: Path) -> Any:
    from tests.proofs.loss import FULL, cells, measure

    found = []
    for cell in cells():
        for each in measure(cell, **FULL):
            found.append({"cell": cell.name, "law": cell.law, "size": each.size, "theory": each.theory,
                          "mean": each.mean, "half": each.half, "p": each.p_value()})  # fmt: skip
            print(found[-1], file=sys.stderr, flush=True)
    return found


def show_loss(found: Any) -> None:
    p = np.asarray([each["p"] for each in found])
    print(f"{len(p)} classes; smallest p {p.min():.4f} (fails below {0.01 / len(p):.5f}); intervals that miss: "
          f"{(p < 0.05).sum()}\n")  # fmt: skip
    laws = list(dict.fromkeys(each["law"] for each in found))
    by: dict[tuple[str, int], dict[str, Any]] = {}
    for each in found:
        by.setdefault((each["cell"], each["size"]), {})[each["law"]] = each
    rows = []
    for (cell, size), of in by.items():
        cells = [f"{100 * of[law]['mean']:.2f} ± {100 * of[law]['half']:.2f}" for law in laws]
        rows.append([cell, str(size), f"{100 * next(iter(of.values()))['theory']:.2f}", *cells])
    table(["system", "vCPUs", "theory", *laws], rows)

    def paint(figure: Any, theme: Any) -> None:
        axes = figure.subplots()
        for number, law in enumerate(laws):
            mine = [each for each in found if each["law"] == law]
            x = np.arange(len(mine)) + (number - 1.5) * 0.18
            share = [100 * (each["mean"] / each["theory"] - 1) for each in mine]
            half = [100 * each["half"] / each["theory"] for each in mine]
            axes.errorbar(x, share, yerr=half, fmt="o", markersize=3, linewidth=1, label=law,
                          color=theme.palette[number])  # fmt: skip
        axes.axhline(0, color=theme.ink, linewidth=1)
        axes.set_xticks(range(len(by)), [f"{cell}\n{size} vCPU" for cell, size in by], fontsize=7, rotation=30)
        axes.set_ylabel("blocked, against theory, %")
        axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.12))

    draw("validation-loss", (8.4, 3.8), paint)


# ---------------------------------------------------------------- the published table of FGD


def sweep(traces: Path, policies: list[str], *options: str) -> dict[str, list[float]]:
    """GPUs allocated at the end, %, by policy as tables call it: what ``sundog sweep openb-fgd --seeds 10`` gives."""
    import subprocess
    from tempfile import TemporaryDirectory

    import pandas as pd

    path = f"workload.trace.path={traces / 'alibaba_openb_gpu_v2023'}"
    with TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        sets = [word for option in (path, *options) for word in ("--set", option)]
        vary = ["--vary", "policy=" + ",".join(policies), "--seeds", "10", "--out", str(out)]
        subprocess.run([sys.executable, "-m", "sundog", "sweep", "openb-fgd", *sets, *vary], check=True, cwd=REPOSITORY)
        results = pd.read_parquet(out / "results.parquet")
    shares = 100 * results.set_index("policy")["allocation.gpus.end_share"]
    return {name: shares.loc[[name]].tolist() for name in dict.fromkeys(results["policy"])}


def measure_fgd(traces: Path) -> Any:
    coarse = ["{name: gpu-dot-product, levels: 100}", "{name: gpu-best-fit, levels: 100}", "{name: fgd, levels: 100}"]
    plain = ["gpu-random", "gpu-clustering", "gpu-packing"]
    return {
        "published": sweep(traces, [*plain, *coarse]),
        "by name": sweep(traces, ["gpu-packing", "gpu-clustering", *coarse[1:]],
                         "workload.trace.options.order=shuffled-pods"),
        "plain": sweep(traces, ["random", "fgd", "gpu-dot-product", "gpu-best-fit"]),
    }  # fmt: skip


def show_fgd(found: Any) -> None:
    from tests.proofs.fgd import PUBLISHED

    def named(own: str, parameters: dict[str, Any]) -> str:
        inside = ", ".join(f"{key}={value}" for key, value in parameters.items())
        return f"{own}({inside})" if inside else own

    def text(values: list[float] | None) -> str:
        return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" if values else "–"

    rows, points = [], []
    for name, (own, parameters, published, deviation) in PUBLISHED.items():
        label = named(own, parameters)
        ours = found["published"][label]
        points.append((name, published, deviation, float(np.mean(ours)), float(np.std(ours, ddof=1))))
        plain = (
            found["plain"].get("random" if own == "gpu-random" else own)
            if own != label or own == "gpu-random"
            else None
        )
        rows.append([name, f"`{own}`", f"{published:.2f} ± {deviation:.2f}", text(ours),
                     f"{np.mean(ours) - published:+.2f}", text(found["by name"].get(label)), text(plain)])  # fmt: skip
    table(["theirs", "ours", "published", "measured", "apart", "nodes by name", "no levels, fullest GPU"], rows)

    def paint(figure: Any, theme: Any) -> None:
        axes = figure.subplots()
        x = np.arange(len(points))
        for shift, mean, deviation, label, colour in (
            (-0.12, 1, 2, "published", theme.palette[1]),
            (0.12, 3, 4, "Sundog", theme.palette[0]),
        ):
            axes.errorbar(x + shift, [p[mean] for p in points], yerr=[p[deviation] for p in points], fmt="o",
                          markersize=5, linewidth=1.2, capsize=3, label=label, color=colour)  # fmt: skip
        axes.set_xticks(x, [point[0] for point in points])
        axes.set_ylabel("GPUs allocated, %")
        axes.legend(frameon=False)

    draw("validation-fgd", (6.4, 3.2), paint)


# ---------------------------------------------------------------- recorded decisions


def measure_eucalyptus(traces: Path) -> Any:
    from dataclasses import asdict

    from tests.proofs.eucalyptus import CLOUDS, replay

    return [asdict(replay(traces, cloud)) for cloud in CLOUDS]


def show_eucalyptus(found: Any) -> None:
    from tests.proofs.eucalyptus import CLOUDS

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    shares = ("step", "by_chance", "same", "recorded", "simulated", "difference", "elsewhere")
    rows = [
        [each["cloud"], CLOUDS[each["cloud"]][2], f"{each['vms']:,}", *(percent(each[share]) for share in shares)]
        for each in found
    ]
    table(["cloud", "policy", "VMs", "one step ahead", "random", "run of its own", "cores in use", "in the run",
           "difference", "elsewhere"], rows)  # fmt: skip
    for each in found:
        print(each["cloud"], "nodes", each["nodes"], "alone", percent(each["step_alone"]), "overcommitted",
              each["overcommitted"], "rejected", each["rejected"])  # fmt: skip

    def paint(figure: Any, theme: Any) -> None:
        for axes, each in zip(figure.subplots(1, len(found), sharey=True), found, strict=True):
            cores = CLOUDS[each["cloud"]][0] * CLOUDS[each["cloud"]][1]
            days = np.asarray(each["times"]) / 86400
            recorded, simulated = (100 * np.asarray(each["in_use"])[:, i] / cores for i in range(2))
            axes.step(days, recorded, where="post", color=theme.palette[1], linewidth=2.4, label="log")
            axes.step(days, simulated, where="post", color=theme.palette[0], linewidth=0.8, label="Sundog")
            axes.set_title(each["cloud"])
            axes.set_xlabel("days")
        figure.axes[0].set_ylabel("cores in use, %")
        figure.axes[0].legend(frameon=False)

    draw("validation-eucalyptus", (8.4, 2.8), paint)


# ---------------------------------------------------------------- the fewest hosts


def measure_bound(_: Path) -> Any:
    from dataclasses import asdict

    from tests.proofs.bound import case
    from tests.proofs.test_bound import ALL

    return [asdict(case(seed)) for seed in ALL]


def show_bound(found: Any) -> None:
    ratios = {name: np.asarray([each["used"][name] / each["fewest"] for each in found]) for name in found[0]["used"]}
    order = sorted(ratios, key=lambda name: (float(ratios[name].mean()), name))
    print(len(found), "cases; fewest", min(e["fewest"] for e in found), "to", max(e["fewest"] for e in found), "\n")
    table(["policy", "hosts used, as a multiple of the fewest", "most", "cases at the fewest"],
          [[f"`{name}`", f"{ratios[name].mean():.3f}", f"{ratios[name].max():.2f}",
            f"{(ratios[name] == 1).sum()} of {len(found)}"] for name in order])  # fmt: skip

    def paint(figure: Any, theme: Any) -> None:
        axes = figure.subplots()
        for place, name in enumerate(reversed(order)):
            axes.plot(ratios[name], np.full(len(found), place), "|", color=theme.palette[1], markersize=7)
            axes.plot(ratios[name].mean(), place, "o", color=theme.palette[0], markersize=5)
        axes.set_yticks(range(len(order)), list(reversed(order)), fontsize=8)
        axes.axvline(1, color=theme.ink, linewidth=1)
        axes.set_xlabel("hosts used, as a multiple of the fewest")

    draw("validation-bound", (6.4, 4.2), paint)


# ---------------------------------------------------------------- all of it

PARTS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], None]]] = {
    "loss": (measure_loss, show_loss),
    "fgd": (measure_fgd, show_fgd),
    "eucalyptus": (measure_eucalyptus, show_eucalyptus),
    "bound": (measure_bound, show_bound),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--traces", type=Path, default=REPOSITORY / ".." / "shared" / "traces")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    for name in given.parts or PARTS:
        measure, show = PARTS[name]
        kept = given.keep / f"{name}.json" if given.keep else None
        if kept is not None and kept.is_file():
            found = json.loads(kept.read_text())
        else:
            found = measure(given.traces.resolve())
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(found, indent=1))
        print(f"## {name}\n")
        show(found)


if __name__ == "__main__":
    main()
