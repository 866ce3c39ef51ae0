"""The readers on whole real traces. Figures are those of the data sets' own documentation, or recounted here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sundog.runtime.seeds import Streams
from sundog.scenarios.traces import (
    Trace,
    host_types,
    read_machine_events,
    read_trace,
    trace_info,
    uptimes,
    write_normalised,
)

pytestmark = pytest.mark.trace


@cache
def azure(folder: Path) -> tuple[Trace, pd.DataFrame, pd.DataFrame]:
    trace = read_trace("azure-v1", folder, streams=Streams(1))
    raw = pd.read_parquet(folder / "azure_v1_2017_vm_arrivals.parquet")
    return trace, raw, pd.read_parquet(folder / "azure_v1_2017_duration_bins.parquet")


@pytest.fixture
def azure_trace(traces):
    return azure(traces / "azure_v1_2017_arrivals")


def test_azure_has_every_arrival_and_batch(azure_trace):
    trace, raw, _ = azure_trace
    vms = trace.vms
    assert len(vms) == 1_870_433
    assert vms["group"].nunique() == 452_901
    assert vms["vcpus"].sum() == raw["vcpus"].sum()
    assert vms["memory_mb"].sum() == pytest.approx(raw["mem_gb"].astype(float).sum() * 1024)
    counts = vms["flavor"].value_counts()
    assert counts["1U1.75G"] == 892_166
    assert counts["8U56G"] == 71_942
    assert (np.diff(vms["arrival_s"]) >= 0).all()


def test_azure_known_lifetimes_lie_in_their_bins_and_have_the_known_quantiles(azure_trace):
    trace, raw, bins = azure_trace
    ended = (raw["dur_censored"] == False).to_numpy()  # noqa: E712 - missing is neither
    life = trace.vms["lifetime_s"].to_numpy()[ended]
    number = raw["dur_bin"].to_numpy()[ended].astype(int)
    assert (life >= bins["min_s"].to_numpy()[number]).all()
    assert (life <= bins["max_s"].to_numpy()[number]).all()
    p50, p75, p90, p99 = np.quantile(life, [0.5, 0.75, 0.9, 0.99])
    assert (p50 <= 1500, p75 <= 7200, p90 <= 36_000, p99 <= 172_800) == (True, True, True, True)
    # A little lower the same bounds would fail: the quantiles are in those bins, not far below.
    assert (p50 > 1200, p75 > 3600, p90 > 32_400, p99 > 86_400) == (True, True, True, True)


def test_azure_censored_vms_outlive_the_age_at_which_they_were_last_seen(azure_trace):
    trace, raw, _ = azure_trace
    censored = (raw["dur_censored"] == True).to_numpy()  # noqa: E712 - missing is neither
    arrival = raw["arrival_s"].to_numpy()[censored]
    seen = np.where(arrival < 2_100_000, 2_100_000, 2_591_400) - arrival
    life = trace.vms["lifetime_s"].to_numpy()[censored]
    assert censored.sum() == 37_628
    assert (np.isnan(life) | (life >= seen)).all()


def test_azure_missing_lifetimes_are_distributed_as_known_ones_of_their_flavour(azure_trace):
    trace, raw, _ = azure_trace
    missing = raw["dur_bin"].isna().to_numpy()
    size = np.digitize(raw.groupby("batch_id")["vcpus"].transform("size"), [2, 5, 17, 100])
    # Of the arrivals that could be watched for two days, whether each lived so long is known outright: no estimator.
    arrival = raw["arrival_s"].to_numpy()
    watched = ~missing & (np.where(arrival < 2_100_000, 2_100_000, 2_591_400) - arrival > 172_800)
    kind = raw["vcpus"].to_numpy() * 100 + raw["mem_gb"].to_numpy()
    life = trace.vms["lifetime_s"].fillna(np.inf).to_numpy()
    frame = pd.DataFrame({"kind": kind, "size": size, "missing": missing, "watched": watched, "life": life})
    checked = 0
    for _, stratum in frame.groupby(["kind", "size"]):
        known, drawn = stratum.loc[stratum["watched"], "life"], stratum.loc[stratum["missing"], "life"]
        if len(known) < 5000 or len(drawn) < 5000:
            continue
        checked += 1
        for age in (600, 3600, 21_600, 86_400):
            assert (drawn > age).mean() == pytest.approx((known > age).mean(), abs=0.1)
    assert checked >= 10


def test_azure_batches_are_as_alike_where_drawn_as_where_known(azure_trace):
    trace, raw, bins = azure_trace
    life = trace.vms["lifetime_s"].fillna(1e9).to_numpy()
    number = np.searchsorted(bins["min_s"].to_numpy(), life, side="right")
    same = {}
    for what, rows in (("drawn", raw["dur_bin"].isna()), ("known", raw["dur_censored"] == False)):  # noqa: E712
        frame = pd.DataFrame({"batch": raw["batch_id"][rows], "bin": number[rows]})
        frame = frame[frame.groupby("batch")["bin"].transform("size") > 1]
        of_batch, together = frame.groupby("batch").size(), frame.groupby(["batch", "bin"]).size()
        pairs = together * (together - 1) / of_batch.reindex(together.index.get_level_values("batch")).to_numpy()
        same[what] = pairs.sum() / (of_batch - 1).sum()
    assert same["drawn"] == pytest.approx(same["known"], abs=0.05)
    assert same["known"] > 0.5


def test_azure_is_the_same_for_one_seed_and_a_limit_takes_its_beginning(traces, azure_trace):
    trace, _, _ = azure_trace
    again = read_trace("azure-v1", traces / "azure_v1_2017_arrivals", streams=Streams(1), limit=100_000)
    pd.testing.assert_frame_equal(again.vms, trace.vms.iloc[:100_000])
    other = read_trace("azure-v1", traces / "azure_v1_2017_arrivals", streams=Streams(2), limit=100_000)
    assert not other.vms["lifetime_s"].equals(again.vms["lifetime_s"])


def test_huawei_has_every_completed_vm_and_the_documented_peak(traces):
    trace = read_trace("huawei", traces / "huawei_east_1", streams=Streams(1))
    info = trace_info(trace)
    assert info["vms"] == 116_313
    assert info["peak"]["vms"]["value"] == 2432
    assert info["peak"]["vcpus"]["value"] == 4273
    assert info["peak"]["memory_mb"]["value"] == 8518 * 1024
    assert info["flavors"]["count"] == 15
    assert info["flavors"]["top"]["1U2G"] == 53_934
    life = info["lifetime_s"]
    assert (life["p10"], life["p25"], life["p50"], life["p75"], life["max"]) == (57, 194, 2592, 6651, 2_540_293)


def test_huawei_csv_is_the_beginning_of_the_parquet(traces):
    whole = read_trace("huawei", traces / "huawei_east_1", streams=Streams(1)).vms
    part = read_trace("huawei", traces / "huawei_east_1" / "Huawei-East-1-lt.first20k.csv", streams=Streams(1)).vms
    names = ["vm_id", "arrival_s", "lifetime_s", "vcpus", "memory_mb"]
    pd.testing.assert_frame_equal(part[names], whole.iloc[: len(part)][names])
    assert part["flavor"].tolist() == whole["flavor"].iloc[: len(part)].tolist()


@pytest.mark.parametrize(("name", "rows", "nodes"), [("DS1", 9173, 13), ("DS2", 900, 7), ("DS3", 2600, 7)])
def test_eucalyptus_logs_have_every_vm_and_node(traces, name, rows, nodes):
    path = traces / "eucalyptus" / f"{name}-trace.txt"
    vms = read_trace("eucalyptus", path, streams=Streams(1)).vms
    assert len(vms) == rows
    assert vms["node"].nunique() <= nodes
    assert vms["lifetime_s"].notna().all()
    fields = [line.split() for line in path.read_text().splitlines()]
    assert vms["vcpus"].sum() == sum(int(row[4]) for row in fields if row[0] == "START")
    life = sum(int(row[1]) * {"STOP": 1, "START": -1}[row[0]] for row in fields)
    assert vms["lifetime_s"].sum() == life


@pytest.mark.parametrize("pods", ["default", "gpuspec33"])
def test_openb_has_every_pod_and_node(traces, pods):
    folder = traces / "alibaba_openb_gpu_v2023"
    trace = read_trace("openb", folder, streams=Streams(1), options={"pods": pods})
    raw = pq.read_table(folder / f"openb_pods_{pods}.parquet").to_pandas()
    vms = trace.vms
    assert len(vms) == 8152
    assert vms["vcpus"].sum() == pytest.approx(raw["cpu_milli"].sum() / 1000)
    assert vms["memory_mb"].sum() == raw["memory_mib"].sum() + 1  # one pod asks for none and is given 1 MiB
    assert vms["gpus"].sum() == raw["num_gpu"].sum()
    assert (vms["gpus"] * vms["gpu_share"]).sum() == pytest.approx((raw["num_gpu"] * raw["gpu_milli"]).sum() / 1000)
    assert vms["gpu_models"].notna().sum() == raw["gpu_spec"].notna().sum()
    assert len(trace.hosts) == 1523
    types = host_types(trace.hosts)
    assert types["count"].sum() == 1523
    assert (types["vcpus"] * types["count"]).sum() == 125_514
    assert (types["gpus"] * types["count"]).sum() == 6212


def test_openb_csv_and_parquet_are_one_trace(traces):
    folder = traces / "alibaba_openb_gpu_v2023"
    csv, parquet = (
        read_trace("openb", folder / name, streams=Streams(1)).vms
        for name in ("openb_pod_list_default.csv", "openb_pods_default.parquet")
    )
    pd.testing.assert_frame_equal(csv, parquet)


def test_google_machine_events_are_all_there(traces):
    events = read_machine_events(traces / "google2011_machine_events")
    assert len(events) == 37_780
    assert events["event"].value_counts().to_dict() == {"add": 21_443, "remove": 8957, "update": 7380}
    assert events["machine"].nunique() == 12_583
    assert events["cpu"].isna().sum() == 32
    stays = uptimes(events)
    assert ((stays["end_s"] >= stays["start_s"]) | stays["end_s"].isna()).all()
    assert (stays["start_s"] == 0).sum() == 12_477


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_real_trace_is_written_and_read_again_as_it_was(traces, tmp_path, ending):
    trace = read_trace("openb", traces / "alibaba_openb_gpu_v2023", streams=Streams(1), options={"pods": "gpuspec33"})
    write_normalised(trace, tmp_path / f"t.{ending}")
    again = read_trace("normalised", tmp_path / f"t.{ending}", streams=Streams(1))
    pd.testing.assert_frame_equal(again.vms, trace.vms)
