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


# ---------------------------------------------------------------- all of it

PARTS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], None]]] = {
    "loss": (measure_loss, show_loss),
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
