"""Whether the time of a refused login tells who exists (CVE-2021-38155 and its kind).

    .venv/bin/python benchmarks/login_oracle.py [--tries 2000]

Asked is for tokens with a password that is wrong, in turn for a user who exists, one who does not, one who is disabled
(by the right password), and one of a domain that does not exist; by name, and by id. All answers must be the same but
for their request ids. Told are medians of CPU milliseconds a try, and how far they lie from that of the user who
exists, in percent; the exit code is 1 beyond five.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from token_validation import PASSWORD, Ask, Caller, our_identity

MOST_PERCENT = 5.0


def cases(caller: Caller) -> dict[str, dict[str, Any]]:
    """What to log in as, by what is wrong with it; the users are made."""
    ids = {}
    for name, enabled in (("known", True), ("disabled", False)):
        user = {"name": name, "domain_id": "default", "password": PASSWORD, "enabled": enabled}
        ids[name] = caller("POST", "/v3/users", {"user": user})[1]["user"]["id"]
    domain = {"domain": {"id": "default"}}
    wrong = PASSWORD[::-1]
    return {
        "known": {"name": "known", "password": wrong, **domain},
        "unknown": {"name": "nobody", "password": wrong, **domain},
        "disabled": {"name": "disabled", "password": PASSWORD, **domain},
        "unknown domain": {"name": "known", "password": wrong, "domain": {"name": "nowhere"}},
        "known id": {"id": ids["known"], "password": wrong},
        "unknown id": {"id": "f" * 32, "password": wrong},
    }


def refuse(ask: Ask, user: dict[str, Any]) -> tuple[float, str]:
    """CPU milliseconds until a login is refused, and what is said."""
    body = json.dumps({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}).encode()
    begun = time.process_time()
    status, _, answer = ask("POST", "/v3/auth/tokens", {}, body)
    taken = 1000 * (time.process_time() - begun)
    if status != 401:
        raise SystemExit(f"a login that is wrong was answered with {status}: {answer.decode()}")
    return taken, answer.decode()


def main() -> int:
    """Try them all in turn, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=2000)
    told = parser.parse_args()
    with our_identity() as ask:
        users = cases(Caller(ask))
        taken: dict[str, list[float]] = {name: [] for name in users}
        answers = set()
        for _ in range(told.tries):
            for name, user in users.items():
                each, answer = refuse(ask, user)
                taken[name].append(each)
                answers.add(answer)
    if len(answers) > 1:
        raise SystemExit("the answers are not the same:\n" + "\n".join(sorted(answers)))
    medians = {name: statistics.median(each) for name, each in taken.items()}
    worst = 0.0
    for name, median in medians.items():
        percent = 100 * (median / medians["known"] - 1)
        worst = max(worst, abs(percent))
        print(f"{name}: {median:.2f} ms, {percent:+.1f} %")
    return 0 if worst <= MOST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
