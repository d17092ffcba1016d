"""Train one model of RecBole 1.2.1 on benchmark files and write the top list of every user.

Run by compare.py with the Python of .venv-recbole, which has RecBole and not this package.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from settings import DEPTH, NEGATIVES, PATIENCE, SHARED, THEIRS

USERS_AT_ONCE = 50


def patch() -> None:
    """Restore what RecBole 1.2.1, of 2023, needs and NumPy, SciPy and PyTorch have removed since."""
    for name, kind in (("bool8", np.bool_), ("float_", np.float64), ("complex_", np.complex128)):
        setattr(np, name, kind)
    for name, kind in (("object0", np.object_), ("str0", np.str_), ("long", np.int64), ("unicode_", np.str_)):
        setattr(np, name, kind)
    for name in ("ray", "ray.tune"):
        sys.modules.setdefault(name, ModuleType(name))
    if not hasattr(sp.dok_matrix, "_update"):
        sp.dok_matrix._update = lambda matrix, values: matrix._dict.update(values)
    # Its checkpoints hold its own classes.
    torch.load = functools.partial(torch.load, weights_only=False)


def configuration(name: str, folder: Path, seed: int) -> dict[str, Any]:
    """RecBole's settings for a model by our name."""
    shared, (_, options) = SHARED[name], THEIRS[name]
    negatives = NEGATIVES.get(name, 1)
    # A step counts sampled items too where they are examples of their own.
    batch = shared["batch_size"] * (1 + negatives if name in NEGATIVES else 1)
    sampling = None if name == "mult-vae" else {"distribution": "uniform", "sample_num": negatives}
    return options | {
        "data_path": str(folder.parent),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "checkpoint_dir": str(folder / "saved"),
        "learning_rate": shared["learning_rate"],
        "train_batch_size": batch,
        "train_neg_sample_args": sampling,
        "eval_batch_size": 2_000_000,
        "epochs": shared["epochs"],
        "eval_step": shared["validate_every"],
        "stopping_step": PATIENCE - 1,
        "metrics": ["Recall", "NDCG"],
        "topk": [DEPTH],
        # So that two epochs that differ in the fifth decimal place do not tie.
        "metric_decimal_place": 12,
        "valid_metric": f"Recall@{DEPTH}",
        "eval_args": {"order": "RO", "group_by": "user", "mode": "full"},
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }


def top_lists(model: Any, dataset: Any, seen: list[Any]) -> dict[str, list[str]]:
    """The best unseen items of every user; users and items by their tokens."""
    from recbole.data.interaction import Interaction

    users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
    hidden = np.zeros((len(users), len(items)), dtype=bool)
    hidden[:, 0] = True
    for part in seen:
        hidden[part.inter_feat["user_id"].numpy(), part.inter_feat["item_id"].numpy()] = True
    lists = {}
    model.eval()
    with torch.no_grad():
        for block in torch.arange(1, len(users)).split(USERS_AT_ONCE):
            try:
                scores = model.full_sort_predict(Interaction({"user_id": block}))
            except NotImplementedError:
                pairs = torch.cartesian_prod(block, torch.arange(len(items)))
                scores = model.predict(Interaction({"user_id": pairs[:, 0], "item_id": pairs[:, 1]}))
            scores = scores.view(len(block), -1).masked_fill(torch.from_numpy(hidden[block.numpy()]), -torch.inf)
            for user, best in zip(block.tolist(), scores.topk(DEPTH).indices.tolist(), strict=True):
                lists[str(users[user])] = [str(items[item]) for item in best]
    return lists


def main(name: str, folder: Path, seed: int, out: Path) -> None:
    patch()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(1)
    label = THEIRS[name][0]
    config = Config(model=label, dataset=folder.name, config_dict=configuration(name, folder, seed))
    init_seed(seed, reproducibility=True)
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    model = get_model(label)(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], label)(config, model)
    started = time.perf_counter()
    best, _ = trainer.fit(train, valid, saved=True, show_progress=False, verbose=False)
    seconds = time.perf_counter() - started
    own = trainer.evaluate(test, load_best_model=True, show_progress=False)
    trained_on, withheld = train._dataset, valid._dataset
    measured = {
        "validation_lists": top_lists(model, dataset, [trained_on]),
        "test_lists": top_lists(model, dataset, [trained_on, withheld]),
        "own_evaluator": {"validated": float(best)} | {name: float(value) for name, value in own.items()},
        "epochs": 1 + max(trainer.train_loss_dict),
        "seconds": seconds,
    }
    out.write_text(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
