"""The fitted presets: what they generate has the figures of the traces they were fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sundog.runtime.seeds import Streams
from sundog.sim.workload.generate import generate
from sundog.sim.workload.initial import mean_population
from sundog.sim.workload.spec import SyntheticSpec, load_preset
from sundog.units import DAY


def make(name: str, *, days: float, seed: int = 1, **changes: object) -> pd.DataFrame:
    spec = SyntheticSpec.model_validate({"preset": name, **changes})
    return generate(spec, horizon_s=days * DAY, streams=Streams(seed))


def goodness(name: str) -> dict[str, tuple[float, float, float]]:
    return {row["figure"]: (row["trace"], row["generated"], row["sd"]) for row in load_preset(name).goodness}


@pytest.mark.parametrize("name", ["azure-like", "huawei-like"])
def test_a_generated_month_has_the_key_figures_of_the_trace(name: str) -> None:
    frame, figures = make(name, days=20), goodness(name)
    trace = {figure: values[0] for figure, values in figures.items()}
    assert len(frame) / 20 == pytest.approx(trace["mean rate, VMs a day"], rel=0.35)
    assert frame.vcpus.mean() == pytest.approx(trace["mean vCPUs of a VM"], rel=0.03)
    assert frame.memory_mb.mean() / 1024 == pytest.approx(trace["mean memory of a VM, GiB"], rel=0.04)
    batches = frame.arrival_s.nunique()
    assert len(frame) / batches == pytest.approx(trace["mean batch size, VMs"], rel=0.05)


def test_azure_like_lifetimes_have_the_survival_of_the_trace() -> None:
    lifetimes, figures = make("azure-like", days=10).lifetime_s, goodness("azure-like")
    for age, seconds in (("1 h", 3750), ("6 h", 21750), ("1 d", 86550), ("5 d", 432150)):
        # The mix of flavors is the month's, the laws are those of its last nine days; hence not closer.
        assert (lifetimes > seconds).mean() == pytest.approx(figures[f"share living over {age}"][0], rel=0.12)


def test_huawei_like_lifetimes_have_the_quantiles_of_the_trace() -> None:
    lifetimes, figures = make("huawei-like", days=31).lifetime_s, goodness("huawei-like")
    for p in (0.1, 0.5, 0.75, 0.9):
        assert lifetimes.quantile(p) == pytest.approx(figures[f"lifetime quantile {p:g}, s"][0], rel=0.15)


def test_azure_like_keeps_as_many_vms_running_as_the_region_had_for_its_rate() -> None:
    preset = load_preset("azure-like")
    days = mean_population(preset.spec) / preset.spec.arrivals_per_day
    assert days == pytest.approx(preset.fit["mean_lifetime_days_wanted"], rel=0.01)


def test_arrivals_per_day_rescales_a_preset_without_changing_its_vms() -> None:
    few, many = (make("azure-like", days=7, arrivals_per_day=n, modulation=None) for n in (6_000, 60_000))
    assert len(many) == pytest.approx(60_000 * 7, rel=0.05)
    assert len(few) == pytest.approx(6_000 * 7, rel=0.15)
    assert few.vcpus.mean() == pytest.approx(many.vcpus.mean(), rel=0.1)


@pytest.mark.trace
@pytest.mark.slow
@pytest.mark.parametrize("name", ["azure-like", "huawei-like"])
def test_a_preset_still_has_the_figures_that_its_file_states_of_the_trace(name: str, traces: Path) -> None:
    from tools import fit_presets

    if name == "azure-like":
        trace, bins = fit_presets.read_azure(traces)
        ages = fit_presets.azure_ages(trace.vms[trace.vms.bin >= 0], bins)
        real = fit_presets.azure_figures(trace, ages)
        made = fit_presets.as_trace(make(name, days=30, seed=3), 30 * DAY)
        generated = fit_presets.azure_figures(made, fit_presets.generated_ages(made))
    else:
        trace = fit_presets.read_huawei(traces)
        real = fit_presets.huawei_figures(trace)
        generated = fit_presets.huawei_figures(fit_presets.as_trace(make(name, days=31, seed=3), 31 * DAY))
    stated = goodness(name)
    assert real.keys() == stated.keys()
    for figure, value in real.items():
        in_file, mean, deviation = stated[figure]
        assert value == pytest.approx(in_file, rel=1e-3), figure
        # Five deviations of one month about the mean of ten: a change of the generator shows, another seed does not.
        assert generated[figure] == pytest.approx(mean, abs=5 * deviation + 1e-9), figure


@pytest.mark.trace
@pytest.mark.slow
@pytest.mark.parametrize("name", ["azure-like", "huawei-like"])
def test_fitting_again_gives_the_parameters_that_are_shipped(name: str, traces: Path) -> None:
    from tools import fit_presets

    if name == "azure-like":
        body, _ = fit_presets.fit_azure(*fit_presets.read_azure(traces))
    else:
        body, _ = fit_presets.fit_huawei(fit_presets.read_huawei(traces))
    again = SyntheticSpec.model_validate({**body, "preset": name})
    shipped = load_preset(name).spec
    assert again.hourly == pytest.approx(shipped.hourly, abs=0.002)
    assert again.model_dump(exclude={"hourly", "modulation"}) == shipped.model_dump(exclude={"hourly", "modulation"})
    assert again.modulation is not None
    assert shipped.modulation is not None
    assert again.modulation.sigma == pytest.approx(shipped.modulation.sigma, abs=0.002)
    assert np.isclose(again.modulation.correlation, shipped.modulation.correlation, rtol=0.01)
