#!/usr/bin/env python3
"""Compute what sockbench reports about each cell of a run folder again, from its trials.jsonl alone.

    python3 recompute.py RUN                                    print it as JSON
    sockbench report RUN -o json | python3 recompute.py RUN -   compare: exit code 1 if any number differs

Written from the descriptions in docs/exports.md and of HdrHistogram's V2 encoding, with the standard library only: it
shares no code with sockbench.
"""
import base64
import json
import math
import struct
import sys
import zlib
from collections import Counter, defaultdict

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
COUNTS = ["offered", "completed", "failed", "timed_out", "unfinished"]


def supported(p, n):
    """Whether the largest of n values lies above the percentile p with a probability of at least 97.5 %."""
    return n > 0 and n * math.log(p) <= math.log(0.025)


def zigzag_leb128(data):
    """The signed numbers in data: seven bits a byte, least significant first; the ninth byte holds eight."""
    at = 0
    while at < len(data):
        value = shift = 0
        for n in range(9):
            byte = data[at]
            at += 1
            value |= (byte if n == 8 else byte & 0x7F) << shift
            shift += 7
            if n < 8 and byte < 0x80:
                break
        yield (value >> 1) ^ -(value & 1)


def decode(text):
    """The recorded values of a histogram: {highest value of the bucket: count}. Values of one bucket are not told apart."""
    outer = base64.b64decode(text)
    cookie, length = struct.unpack_from(">ii", outer)
    if cookie & ~0xF0 != 0x1C849304:
        raise ValueError("not a compressed V2 histogram: cookie %#x" % cookie)
    inner = zlib.decompress(outer[8 : 8 + length])
    cookie, size, offset, digits, lowest, _, _ = struct.unpack_from(">iiiiqqd", inner)
    if cookie & ~0xF0 != 0x1C849303 or offset != 0:
        raise ValueError("not a V2 histogram: cookie %#x, index offset %d" % (cookie, offset))

    # Each bucket covers twice the values of the one before with as many sub-buckets; of all but the first only the
    # upper half is used, as the lower one lies in the bucket before.
    half_bits = max(1, math.ceil(math.log2(2 * 10**digits))) - 1
    half = 1 << half_bits
    unit_bits = int(math.log2(lowest))
    counts, index = {}, 0
    for n in zigzag_leb128(inner[40 : 40 + size]):
        if n < 0:  # so many empty sub-buckets
            index -= n
            continue
        if n > 0:
            bucket, sub = (index >> half_bits) - 1, (index & (half - 1)) + half
            if bucket < 0:
                bucket, sub = 0, sub - half
            shift = bucket + unit_bits
            counts[((sub + 1) << shift) - 1] = n
        index += 1
    return counts


def percentile(counts, p):
    """The value of rank p·n, rounded to the nearest whole number, in n values."""
    n = sum(counts.values())
    rank = min(n, max(1, int(p * 100 / 100 * n + 0.5)))
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value


def counting(trials):
    """Of each block the attempt with most trials, of equals the last."""
    size = Counter((t["block"], t["attempt"]) for t in trials)
    best = {}
    for block, attempt in sorted(size):
        if block not in best or size[block, attempt] >= size[block, best[block]]:
            best[block] = attempt
    return [t for t in trials if t["attempt"] == best[t["block"]]]


def quantity(trials, name):
    """The merged latency: (its values, its numbers in nanoseconds)."""
    merged, parts = Counter(), []
    for t in trials:
        q = t["metrics"][name]
        if q["count"] == 0:
            continue
        counts = decode(t["histograms"][name])
        if sum(counts.values()) != q["count"]:
            raise ValueError("trial %s: histogram %s holds %d values, its record says %d" % (t["id"], name, sum(counts.values()), q["count"]))
        merged.update(counts)
        parts.append(q)
    if not parts:
        return merged, {}, None
    low, high = min(q["min_ns"] for q in parts), max(q["max_ns"] for q in parts)
    n = sum(merged.values())
    out = {k: min(high, max(low, percentile(merged, p))) for k, p in PERCENTILES.items() if supported(p, n)}
    out["max"] = high
    out["mean"] = sum(q["mean_ns"] * q["count"] for q in parts) / n
    censored = [q["censored_from"] for q in parts if q["censored_from"] is not None]
    return merged, out, min(censored) if censored else None


def cell(trials):
    """What the report says of one cell."""
    measured = [t for t in trials if "metrics" in t]
    out = {"cell": trials[0]["cell"], "trials": len(trials), "failed": len(trials) - len(measured)}
    if not measured:
        return out
    every = [t["metrics"] for t in measured]
    out["counts"] = {k: sum(m[k] for m in every) for k in COUNTS}
    duration = sum(m["duration_ns"] for m in every)
    _, response, censored = quantity(measured, "response")
    _, service, _ = quantity(measured, "service")
    _, connect, _ = quantity(measured, "connect")
    bad, offered = sum(out["counts"][k] for k in ("failed", "timed_out", "unfinished")), out["counts"]["offered"]
    out["metrics"] = {
        "throughput": sum(m["throughput"] * m["duration_ns"] for m in every) / duration,
        **{k: response.get(k) for k in [*PERCENTILES, "max", "mean"]},
        "service_p50": service.get("p50"),
        "service_p99": service.get("p99"),
        "connect_p99": connect.get("p99"),
        "errors": bad / offered if offered else None,
    }
    out["at_least"] = sorted(k for k in [*PERCENTILES, "max"] if censored is not None and response.get(k, -1) >= censored)
    out["at_least"] += ["mean"] if censored is not None else []
    return out


def read(folder):
    """The sound lines of trials.jsonl."""
    trials = []
    with open(folder + "/trials.jsonl", "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                trials.append(json.loads(line))
            except ValueError:
                print("left out: line %d" % number, file=sys.stderr)
    return trials


def differences(ours, theirs):
    """What is not equal, and how many numbers were compared. Only floating-point sums may differ, in the last digits."""
    compared, wrong = 0, []

    def same(where, a, b):
        nonlocal compared
        compared += 1
        close = isinstance(a, float) and b is not None and math.isclose(a, b, rel_tol=1e-9)
        if a != b and not close:
            wrong.append("%s: %s here, %s in the report" % (where, a, b))

    for c in ours:
        name = " ".join("%s=%s" % item for item in sorted(c["cell"].items()))
        match = [t for t in theirs if t["cell"] == c["cell"]]
        if len(match) != 1:
            wrong.append("%s: %d times in the report" % (name, len(match)))
            continue
        for key in ("trials", "failed"):
            same(name + " " + key, c[key], match[0][key])
        for group in ("counts", "metrics"):
            for key, value in c.get(group, {}).items():
                same(name + " " + key, value, match[0][group][key])
        if "at_least" in c:
            told = [k for k in match[0].get("at_least", []) if not k.startswith(("service", "connect"))]
            same(name + " lower bounds", sorted(c["at_least"]), sorted(told))
    return compared, wrong


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    by_cell = defaultdict(list)
    for t in counting(read(sys.argv[1])):
        by_cell[json.dumps(t["cell"], sort_keys=True)].append(t)
    ours = [cell(trials) for trials in by_cell.values()]
    if len(sys.argv) == 2:
        json.dump({"cells": ours}, sys.stdout, indent=2)
        print()
        return
    with sys.stdin if sys.argv[2] == "-" else open(sys.argv[2]) as file:
        compared, wrong = differences(ours, json.load(file)["cells"])
    for line in wrong:
        print(line)
    print("%d numbers of %d cells compared, %d differ" % (compared, len(ours), len(wrong)))
    sys.exit(1 if wrong or not ours else 0)


if __name__ == "__main__":
    main()
