"""Train LT-OCF on the MovieLens set that comes with the package and print what it recommends.

python examples/quickstart.py [RUN_FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import ltocf

USER = 42


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "run"
    metrics = ltocf.train("movielens-small", out, epochs=3, dim=16, n_negatives=512, threads=1)
    print(f"recall@20 on the test set: {metrics['recall@20']:.4f}")
    print("learned times:", ", ".join(f"{t:.3f}" for t in metrics["times"]))

    trained = ltocf.load(out)
    liked = trained.history(USER)["title"]
    print(f"user {USER} liked {len(liked)} movies; for them:")
    for row in trained.recommend([USER], k=5).iter_rows(named=True):
        print(f"{row['rank']}. {row['title']}")
    print(f"everything about the run is in {out}")


if __name__ == "__main__":
    main()
