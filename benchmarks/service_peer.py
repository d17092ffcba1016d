"""The peer of `service.py`: FastAPI and implicit in ten lines, on the pairs of the run that PEER_RUN names."""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import scipy.sparse as sp
from fastapi import Body, FastAPI
from implicit.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from ltocf.serving import TrainedModel

trained = TrainedModel.load(Path(os.environ["PEER_RUN"]) / "model.safetensors")
seen, users, items = trained.seen, trained.user_ids, trained.item_ids
pairs = sp.csr_matrix((np.ones(len(seen), np.float32), (seen.users, seen.items)), (seen.n_users, seen.n_items))
threadpool_limits(1)
model = AlternatingLeastSquares(64, iterations=3, num_threads=1, random_state=0)
model.fit(pairs, show_progress=False)
app = FastAPI()


@app.get("/healthz")
def health() -> str:
    return "ok"


@app.get("/v1/recommend/{user}")
def recommend(user: str, k: int = 10) -> list[tuple[int | str, float]]:
    row = users.encode_one(user)
    found, scores = model.recommend(row, pairs[row], k)
    return list(zip(items.decode(found), scores.tolist(), strict=True))


@app.post("/v1/recommend")
def fold_in(
    history: Annotated[list[int | str], Body()], k: Annotated[int, Body()] = 10
) -> list[tuple[int | str, float]]:
    row = sp.csr_matrix(
        (np.ones(len(history), np.float32), ([0] * len(history), items.encode(history))), (1, len(items))
    )
    found, scores = model.recommend(0, row, k, recalculate_user=True)
    return list(zip(items.decode(found), scores.tolist(), strict=True))
