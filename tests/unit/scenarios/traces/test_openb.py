from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sundog.errors import InputError
from sundog.scenarios.traces import host_types, write_normalised

NODES = """sn,cpu_milli,memory_mib,gpu,model
n0,32000,262144,0,
n1,96000,524288,8,G2
n2,32000,262144,0,
n3,96000,393216,4,T4"""
HEAD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
PODS = f"""{HEAD}
p0,12000,16384,1,1000,,LS,Succeeded,0,1500,0
p1,500,0,1,460,V100M16|V100M32,BE,Running,1100,1300,1100
p2,8000,30517,8,1000,T4,LS,Running,1200,2000,1201
p3,1000,1024,0,0,,LS,Pending,1200,1250,
p4,1000,1024,0,0,,LS,Failed,900,1000,901"""


@pytest.fixture
def folder(write):
    write("openb_node_list_all_node.csv", NODES)
    return write("openb_pod_list_default.csv", PODS).parent


def test_pods_become_vms_by_creation_with_time_from_the_first_end(folder, read):
    trace = read("openb", folder)
    vms = trace.vms
    assert vms["vm_id"].tolist() == ["p0", "p4", "p1", "p2", "p3"]
    assert vms["arrival_s"].tolist() == [-1000.0, -100.0, 100.0, 200.0, 200.0]
    np.testing.assert_array_equal(vms["lifetime_s"], [1500.0, 100.0, 200.0, np.nan, 50.0])
    assert vms["vcpus"].tolist() == [12.0, 1.0, 0.5, 8.0, 1.0]
    assert vms["memory_mb"].tolist() == [16384.0, 1024.0, 1.0, 30517.0, 1024.0]
    assert vms["gpus"].tolist() == [1.0, 0.0, 1.0, 8.0, 0.0]
    assert vms["gpu_share"].tolist() == [1.0, 1.0, 0.46, 1.0, 1.0]
    assert vms["gpu_models"].tolist() == [pd.NA, pd.NA, "V100M16|V100M32", "T4", pd.NA]


def test_what_was_decided_is_noted(folder, read):
    notes = " / ".join(read("openb", folder).notes)
    for words in ("1 pods were running when", "1 pods ask for no memory", "time 0 is 1000 s", "1 pods were never"):
        assert words in notes


def test_options_keep_recorded_times_let_running_pods_outlive_and_drop_pending_ones(folder, read):
    vms = read("openb", folder, options={"start": "recorded", "running": "outlives", "pending": "drop"}).vms
    assert vms["vm_id"].tolist() == ["p0", "p4", "p1", "p2"]
    assert vms["arrival_s"].tolist() == [0.0, 900.0, 1100.0, 1200.0]
    np.testing.assert_array_equal(vms["lifetime_s"], [1500.0, 100.0, np.nan, np.nan])


def test_nodes_become_hosts_and_their_types_are_counted_in_order(folder, read):
    hosts = read("openb", folder).hosts
    assert hosts["host"].tolist() == ["n0", "n1", "n2", "n3"]
    types = host_types(hosts)
    assert types["type"].tolist() == ["cpu-32c-256g", "G2x8-96c-512g", "T4x4-96c-384g"]
    assert types["count"].tolist() == [2, 1, 1]
    assert types["vcpus"].tolist() == [32.0, 96.0, 96.0]
    assert types["memory_mb"].tolist() == [262144.0, 524288.0, 393216.0]
    assert types["gpus"].tolist() == [0.0, 8.0, 4.0]
    assert types["gpu_model"].tolist() == [pd.NA, "G2", "T4"]


def test_pods_without_nodes_beside_them_have_no_inventory(write, read):
    assert read("openb", write("pods.csv", PODS)).hosts is None


def test_the_option_pods_picks_the_file(folder, write, read, refusal):
    write("openb_pod_list_gpuspec33.csv", PODS.replace("p0", "other"))
    assert "other" in read("openb", folder, options={"pods": "gpuspec33"}).vms["vm_id"].tolist()
    assert "'all' is not one of default, gpuspec33" in refusal("openb", folder, options={"pods": "all"})


def test_a_written_trace_is_read_again_as_it_was(folder, read, tmp_path):
    trace = read("openb", folder)
    write_normalised(trace, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read("normalised", tmp_path / "t.parquet").vms, trace.vms)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p0,1,1,0,0,,LS,Failed,5,6,", "name p0 comes a second time"),
        ("p9,1,1,0,0,,LS,Failed,7,6,", "the pod ends before it starts: created at 7, deleted at 6"),
        ("p9,0,1,0,0,,LS,Failed,5,6,", "cpu_milli is 0"),
        ("p9,1,-1,0,0,,LS,Failed,5,6,", "memory_mib is -1"),
        ("p9,1,1,2,500,,LS,Failed,5,6,", "gpu_milli is 500; only one GPU can be shared"),
        ("p9,1,1,1,0,,LS,Failed,5,6,", "gpu_milli is 0 where num_gpu is not"),
        ("p9,1,1,1,1001,,LS,Failed,5,6,", "gpu_milli is 1001"),
        ("p9,1,1,1.5,1000,,LS,Failed,5,6,", "num_gpu is 1.5; a whole number"),
        ("p9,1,1,0,0,,LS,running,5,6,", "did you mean 'Running'?"),
        ("p9,1,1,0,0,,LS,Failed,5,NaN,", "deletion_time is NaN"),
    ],
)
def test_a_bad_pod_is_named_by_file_and_line(write, refusal, row, message):
    path = write("pods.csv", f"{PODS}\n{row}")
    text = refusal("openb", path)
    assert text.startswith(f"{path}:7: ")
    assert message in text


def test_bad_nodes_and_missing_columns_are_refused(folder, write, refusal):
    nodes = write("openb_node_list_all_node.csv", f"{NODES}\nn4,1000,1024,2,")
    assert f"{nodes}:6: 2 GPUs without a model" in refusal("openb", folder)
    assert "missing columns cpu_milli" in refusal("openb", write("pods.csv", "name\nx"))
    assert "no openb pods (gpuspec33) here" in refusal("openb", folder, options={"pods": "gpuspec33"})


# ---------------------------------------------------------------- pods in random order, up to a demand

SHUFFLED = {"order": "shuffled"}


def asked(vms):
    return float((vms["gpus"] * vms["gpu_share"]).sum())


def test_shuffled_pods_come_one_a_second_none_leaves_and_nodes_are_shuffled_too(folder, read):
    recorded = read("openb", folder)
    orders = set()
    for seed in range(20):
        trace = read("openb", folder, options=SHUFFLED, seed=seed)
        assert trace.vms["arrival_s"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert trace.vms["lifetime_s"].isna().all()
        assert sorted(trace.vms["vm_id"]) == sorted(recorded.vms["vm_id"])
        assert sorted(trace.hosts["host"]) == ["n0", "n1", "n2", "n3"]
        orders.add((tuple(trace.vms["vm_id"]), tuple(trace.hosts["host"])))
        of = trace.vms.set_index("vm_id")
        assert of.loc["p2", "gpus"] == 8
        assert of.loc["p2", "gpu_models"] == "T4"
    assert len(orders) > 10


def test_the_nodes_may_stay_where_they_are(folder, read):
    both, pods = (read("openb", folder, options={"order": order}, seed=7) for order in ("shuffled", "shuffled-pods"))
    assert pods.hosts["host"].tolist() == ["n0", "n1", "n2", "n3"]
    assert pods.vms["vm_id"].tolist() == both.vms["vm_id"].tolist()


def test_only_nodes_with_gpus_on_request(folder, read):
    assert read("openb", folder, options={"nodes": "gpu"}).hosts["host"].tolist() == ["n1", "n3"]


@pytest.mark.parametrize("demand", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_pods_are_left_out_or_drawn_again_until_the_demand_is_met(folder, read, demand):
    for seed in range(10):
        trace = read("openb", folder, options={**SHUFFLED, "demand": demand}, seed=seed)
        vms, target = trace.vms, demand * 12  # GPUs of the nodes
        assert asked(vms) <= target
        assert vms["vm_id"].is_unique
        again = vms["vm_id"].str.contains("~")
        if demand < 0.78:  # 9.46 GPUs are asked for once
            assert not again.any()
        else:
            assert asked(vms) > target - 8, "the next one would have been too much"
            assert vms["vm_id"][:5].str.contains("~").sum() == 0, "those that come again come last"
            assert {name.split("~")[0] for name in vms["vm_id"]} == {"p0", "p1", "p2", "p3", "p4"}


def test_the_same_seed_gives_the_same_pods_whatever_else_is_asked(folder, read):
    one, two = (read("openb", folder, options={**SHUFFLED, "demand": 2.0}, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one.vms, two.vms)
    pd.testing.assert_frame_equal(one.hosts, two.hosts)
    plain = read("openb", folder, options=SHUFFLED, seed=3)
    assert plain.vms["vm_id"].tolist() == one.vms["vm_id"].tolist()[:5]


def test_a_demand_that_cannot_be_made_is_refused(folder, read, write):
    with pytest.raises(InputError, match="needs order: shuffled"):
        read("openb", folder, options={"demand": 1.3})
    with pytest.raises(InputError, match="give at most 1000"):
        read("openb", folder, options={**SHUFFLED, "demand": 1e12})
    write("openb_pod_list_default.csv", f"{HEAD}\np3,1000,1024,0,0,,LS,Succeeded,1200,1250,1200")
    with pytest.raises(InputError, match="pods that ask for GPUs"):
        read("openb", folder, options={**SHUFFLED, "demand": 1.3})
