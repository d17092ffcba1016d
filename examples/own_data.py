"""Train on a table of your own: string ids stay strings, so ``"007"`` is not 7.

python examples/own_data.py [FOLDER]
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import ltocf

DRINKS = {"tea": 30, "coffee": 30}


def write_orders(path: Path) -> None:
    """Sixty customers, each of whom orders only teas or only coffees."""
    draw = random.Random(0)
    lines = ["customer,product"]
    for customer in range(60):
        kind = list(DRINKS)[customer % 2]
        lines += [f"{customer:03d},{kind}-{number}" for number in draw.sample(range(DRINKS[kind]), 12)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    orders, out = folder / "orders.csv", folder / "run"
    write_orders(orders)
    columns = {"user_column": "customer", "item_column": "product"}
    ltocf.train(orders, out, dim=8, epochs=30, learning_rate=0.05, batch_size=256, threads=1, **columns)

    print("customer 007 ordered:", ", ".join(ltocf.load(out).history("007")["item"]))
    print("and might like:", ", ".join(ltocf.load(out).recommend(["007"], k=5)["item"]))
    for name, value in ltocf.evaluate_run(out, ks=(5,)).items():
        print(f"{name:<13} {value:.3f}")


if __name__ == "__main__":
    main()
