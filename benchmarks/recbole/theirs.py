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
from settings import DEPTH, EPOCHS, NEGATIVES, PATIENCE, SHARED, THEIRS, VALIDATE_EVERY


def patch() -> None:
    """RecBole 1.2.1 is of 2023: give it back what NumPy, SciPy and PyTorch have taken away since."""
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
    """Their settings for one of our names."""
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
        "epochs": EPOCHS,
        "eval_step": VALIDATE_EVERY,
        "stopping_step": PATIENCE - 1,
        "metrics": ["Recall", "NDCG"],
        "topk": [DEPTH],
        "valid_metric": f"Recall@{DEPTH}",
        "eval_args": {"order": "RO", "group_by": "user", "mode": "full"},
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }


def top_lists(model: Any, dataset: Any, seen: list[Any]) -> dict[str, list[str]]:
    """The best unseen items of every user, by the tokens of both."""
    from recbole.data.interaction import Interaction

    users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
    hidden = np.zeros((len(users), len(items)), dtype=bool)
    hidden[:, 0] = True
    for part in seen:
        hidden[part.inter_feat["user_id"].numpy(), part.inter_feat["item_id"].numpy()] = True
    lists = {}
    model.eval()
    with torch.no_grad():
        for user in range(1, len(users)):
            query = {"user_id": torch.full((len(items),), user), "item_id": torch.arange(len(items))}
            try:
                scores = model.full_sort_predict(Interaction({"user_id": query["user_id"][:1]}))
            except NotImplementedError:
                scores = model.predict(Interaction(query))
            scores = scores.view(-1).masked_fill(torch.from_numpy(hidden[user]), -torch.inf)
            lists[str(users[user])] = [str(items[item]) for item in scores.topk(DEPTH).indices.tolist()]
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
    train, valid, _ = data_preparation(config, dataset)
    model = get_model(label)(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], label)(config, model)
    started = time.perf_counter()
    best, _ = trainer.fit(train, valid, saved=True, show_progress=False, verbose=False)
    seconds = time.perf_counter() - started
    model.load_state_dict(torch.load(trainer.saved_model_file, map_location="cpu")["state_dict"])
    for attribute in ("restore_user_e", "restore_item_e"):
        if hasattr(model, attribute):
            setattr(model, attribute, None)
    lists = top_lists(model, dataset, [train._dataset, valid._dataset])
    epochs = 1 + max(trainer.train_loss_dict)
    measured = {"lists": lists, "validated": float(best), "epochs": epochs, "seconds": seconds}
    out.write_text(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
