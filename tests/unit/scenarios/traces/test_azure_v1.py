from __future__ import annotations

import numpy as np
import pytest

BINS = """bin,min_s,max_s
0,0,0
1,300,300
2,600,3600
3,3900,7200"""
HEAD = "arrival_s,batch_id,vcpus,mem_gb,dur_bin,dur_censored"


def arrivals(*rows):
    return "\n".join([HEAD, *rows])


@pytest.fixture
def folder(write):
    write("duration_bins.csv", BINS)
    rows = [f"300,{i},1,1.75,{i % 2},false" for i in range(1, 41)]
    rows += ["600,50,2,3.5,2,false", "600,51,2,3.5,,", "900,51,2,3.5,,", "900,60,2,3.5,2,true", "900,61,1,0.75,,"]
    return write("arrivals.csv", arrivals(*rows)).parent


def test_columns_are_normalised_and_batches_are_groups_without_policy(folder, read):
    vms = read("azure-v1", folder).vms
    assert vms["vm_id"].tolist() == list(range(45))
    assert vms["arrival_s"].tolist() == [300.0] * 40 + [600.0] * 2 + [900.0] * 3
    assert vms["vcpus"].tolist()[-5:] == [2.0, 2.0, 2.0, 2.0, 1.0]
    assert vms["memory_mb"].tolist()[-5:] == [3584.0, 3584.0, 3584.0, 3584.0, 768.0]
    assert vms["flavor"].tolist()[-1] == "1U0.75G"
    assert vms["group"].dtype == np.int64
    assert vms["group"].tolist()[-5:] == [50, 51, 51, 60, 61]
    assert "group_policy" not in vms


def test_known_lifetimes_lie_in_their_bins_and_censored_ones_go_on(folder, read):
    life = read("azure-v1", folder).vms["lifetime_s"].to_numpy()
    assert life[:40].tolist() == [300.0 * (i % 2) for i in range(1, 41)]
    assert 600 <= life[40] <= 3600
    assert np.isnan(life[43]) or life[43] >= 600


def test_the_arrivals_file_may_be_named_with_the_bins_beside_it(folder, read):
    assert read("azure-v1", folder / "arrivals.csv").vms.equals(read("azure-v1", folder).vms)


def test_one_seed_gives_one_trace_and_another_seed_another(folder, read):
    first = read("azure-v1", folder, seed=1).vms["lifetime_s"]
    assert first.equals(read("azure-v1", folder, seed=1).vms["lifetime_s"])
    assert not first.equals(read("azure-v1", folder, seed=2).vms["lifetime_s"])


def test_a_limited_trace_is_the_beginning_of_the_whole_one(folder, read):
    assert read("azure-v1", folder, limit=43).vms.equals(read("azure-v1", folder).vms.iloc[:43])


def test_missing_lifetimes_follow_the_estimate_and_its_tail_outlives(write, read):
    # 3 of 4 end at 300 s; the fourth is still alive when it is last seen, so a quarter lies beyond the estimate.
    write("duration_bins.csv", BINS)
    known = [f"300,{i},1,1,{1 if i % 4 else 2},{'false' if i % 4 else 'true'}" for i in range(4000)]
    path = write("arrivals.csv", arrivals(*known, *(f"600,{i},1,1,," for i in range(5000, 9000))))
    life = read("azure-v1", path).vms["lifetime_s"].to_numpy()[4000:]
    assert np.mean(life == 300) == pytest.approx(0.75, abs=0.02)
    assert np.mean(np.isnan(life)) == pytest.approx(0.25, abs=0.02)
    life = read("azure-v1", path, options={"tail_mean": "2 h"}).vms["lifetime_s"].to_numpy()[4000:]
    assert not np.isnan(life).any()
    tail = life[life > 300]
    assert tail.mean() == pytest.approx(300 + 7200, rel=0.1)


def test_flavours_live_as_long_as_their_own_kind(write, read):
    write("duration_bins.csv", BINS)
    short = [f"300,{i},1,1,1,false" for i in range(1100)]
    long = [f"300,{i},8,56,3,false" for i in range(2000, 3100)]
    missing = [f"600,{i},{size},," for i, size in enumerate(["1,1", "8,56"] * 50, start=5000)]
    life = read("azure-v1", write("arrivals.csv", arrivals(*short, *long, *missing))).vms["lifetime_s"].to_numpy()
    assert set(life[2200::2]) == {300.0}
    assert (life[2201::2] >= 3900).all()


def test_a_batch_of_missing_lifetimes_shares_its_fate_where_known_batches_do(write, read):
    write("duration_bins.csv", BINS)
    known = [f"300,{batch},1,1,{batch % 2},false" for batch in range(600) for _ in range(3)]
    missing = [f"600,{batch},1,1,," for batch in range(1000, 1200) for _ in range(3)]
    life = read("azure-v1", write("arrivals.csv", arrivals(*known, *missing))).vms["lifetime_s"].to_numpy()
    batches = life[1800:].reshape(-1, 3)
    assert (batches == batches[:, :1]).all()
    assert len(np.unique(batches)) == 2


def test_a_censored_lifetime_exceeds_the_exact_age_when_watching_ended(write, read):
    # Watched until 2,100,000 s: these are 3,300 s old then, late in the bin from 600 to 3,600 s.
    write("duration_bins.csv", BINS)
    ended = [f"2000000,{i},1,1,2,false" for i in range(2000)]
    censored = [f"2096700,{i},1,1,2,true" for i in range(3000, 3500)]
    life = read("azure-v1", write("arrivals.csv", arrivals(*ended, *censored))).vms["lifetime_s"].to_numpy()[2000:]
    assert (life[~np.isnan(life)] >= 3300).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("100,1,1,1,0,false", "arrival_s goes back from 300 to 100"),
        ("300,1,0,1,0,false", "vcpus is 0"),
        ("300,1,1,-1,0,false", "mem_gb is -1"),
        ("300,1,1,1,4,false", "dur_bin is 4; the bins file has 0 to 3"),
        ("300,1,1,1,-3,false", "dur_bin is -3"),
        ("300,1,1,1,0,maybe", "dur_censored is 'maybe'; true or false"),
        ("300,,1,1,0,false", "batch_id is empty"),
        ("300,1,NaN,1,0,false", "vcpus is NaN"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(write, refusal, row, message):
    write("duration_bins.csv", BINS)
    path = write("arrivals.csv", arrivals("300,1,1,1,0,false", row))
    text = refusal("azure-v1", path)
    assert text.startswith(f"{path}:3: ")
    assert message in text


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ("0,0,0\n2,300,300", ":3: bin is 2; bins count up from 0"),
        ("0,0,0\n1,300,200", ":3: the bin ends before it starts"),
        ("0,0,300\n1,300,600", ":3: the bin starts at 300 s, within the one before"),
    ],
)
def test_bad_bins_are_refused(write, refusal, bins, message):
    write("duration_bins.csv", f"bin,min_s,max_s\n{bins}")
    assert message in refusal("azure-v1", write("arrivals.csv", arrivals("300,1,1,1,0,false")))


def test_missing_files_and_a_file_without_one_known_lifetime_are_refused(write, refusal):
    path = write("arrivals.csv", arrivals("300,1,1,1,,"))
    assert "no file of duration bins here" in refusal("azure-v1", path)
    write("duration_bins.csv", BINS)
    assert "not one VM has a known lifetime" in refusal("azure-v1", path)
    path.unlink()
    assert "no file of arrivals here" in refusal("azure-v1", path.parent)
