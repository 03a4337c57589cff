"""Do conditions find the rows that DuckDB finds? Random conditions, and conditions with something spoiled in them.

    python benchmarks/filters.py [--conditions 100000] [--seed 1]

The conditions are drawn from the grammar, over 300 drawn rows with nulls; DuckDB gets literals beside float32 columns
as float32. As many again are spoiled (a piece put in, taken out or doubled, the end cut off): each must be an error, or
mean to DuckDB, which reads the whole text, what it means to us. The exit status is 1 if there is a difference.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from measure import report

from support.conditions import Oracle, disagreements, drawn_table, misread


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--conditions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        table = drawn_table(Path(folder), seed=args.seed)
        oracle = Oracle(table)
        wrong = disagreements(table, oracle, args.conditions, args.seed)
        read, parts = misread(table, oracle, args.conditions, args.seed)
    for condition in wrong + parts:
        print(condition)
    figures = {
        "conditions": args.conditions,
        "other rows than DuckDB": len(wrong),
        "spoiled": args.conditions,
        "spoiled that are conditions still": read,
        "of these other rows than DuckDB": len(parts),
        "seconds": round(time.monotonic() - began, 1),
    }
    report(__file__, figures)
    return 1 if wrong or parts else 0


if __name__ == "__main__":
    sys.exit(main())
