"""Metric values equal those of trec_eval (pytrec_eval-terrier) and torchmetrics, from the same scores and pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import pytrec_eval
import torch
from torchmetrics.retrieval import (
    RetrievalHitRate,
    RetrievalMAP,
    RetrievalMRR,
    RetrievalNormalizedDCG,
    RetrievalPrecision,
    RetrievalRecall,
)

from ltocf.data.interactions import Interactions
from ltocf.evaluation import evaluate, evaluate_per_user

N_USERS, N_ITEMS = 40, 25
KS = (1, 5, 10, N_ITEMS)
TREC_NAMES = {
    "recall": "recall",
    "precision": "P",
    "ndcg": "ndcg_cut",
    "map": "map_cut",
    "hit_rate": "success",
}
TORCHMETRICS = {
    "recall": RetrievalRecall,
    "precision": RetrievalPrecision,
    "ndcg": RetrievalNormalizedDCG,
    "mrr": RetrievalMRR,
    "hit_rate": RetrievalHitRate,
}


@dataclass
class Case:
    """Scores and relevant items; some users have more relevant items than k.

    The scores of a user are distinct, because the packages break ties differently, and above 0, because torchmetrics
    treats other items as not retrieved.
    """

    matrix: torch.Tensor
    relevant: torch.Tensor

    @property
    def truth(self) -> Interactions:
        return Interactions.from_pairs(*np.nonzero(self.relevant.numpy()), N_USERS, N_ITEMS)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.matrix.index_select(0, users)

    def run(self, k: int) -> dict[str, dict[str, float]]:
        best = self.matrix.topk(k)
        return {
            str(user): {str(item): score for item, score in zip(items, scores, strict=True)}
            for user, (items, scores) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        }


@pytest.fixture(params=[0, 1, 2])
def case(request: pytest.FixtureRequest) -> Case:
    generator = np.random.default_rng(request.param)
    matrix = generator.permuted(np.tile(np.arange(1, N_ITEMS + 1, dtype=np.float32), (N_USERS, 1)), axis=1)
    relevant = generator.random((N_USERS, N_ITEMS)) < generator.random((N_USERS, 1))
    relevant[np.arange(N_USERS), generator.integers(N_ITEMS, size=N_USERS)] = True
    return Case(torch.from_numpy(matrix), torch.from_numpy(relevant))


@pytest.mark.parametrize("k", KS)
def test_the_values_of_every_user_equal_those_of_trec_eval(case: Case, k: int) -> None:
    judged = {
        str(user): {str(item): 1 for item in row.nonzero().flatten().tolist()} for user, row in enumerate(case.relevant)
    }
    measures = {f"{name}.{k}" for name in TREC_NAMES.values()} | {"recip_rank"}
    # recip_rank has no cut-off, so the run is cut off at k.
    found = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(case.run(k))
    measured = evaluate_per_user(case, case.truth, seen=None, ks=(k,))
    assert measured.users.tolist() == list(range(N_USERS))
    columns = {name: f"{trec_name}_{k}" for name, trec_name in TREC_NAMES.items()} | {"mrr": "recip_rank"}
    for name, column in columns.items():
        expected = [found[str(user)][column] for user in range(N_USERS)]
        np.testing.assert_allclose(measured.values[f"{name}@{k}"], expected, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("k", KS)
def test_means_equal_those_of_torchmetrics(case: Case, k: int) -> None:
    users = torch.arange(N_USERS).repeat_interleave(N_ITEMS)
    measured = evaluate(case, case.truth, seen=None, ks=(k,))
    for name, metric in TORCHMETRICS.items():
        expected = metric(top_k=k)(case.matrix.flatten(), case.relevant.flatten(), indexes=users).item()
        assert measured[f"{name}@{k}"] == pytest.approx(expected, abs=1e-6), name  # torchmetrics computes in float32


def test_map_of_whole_lists_equals_that_of_torchmetrics(case: Case) -> None:
    users = torch.arange(N_USERS).repeat_interleave(N_ITEMS)
    expected = RetrievalMAP()(case.matrix.flatten(), case.relevant.flatten(), indexes=users).item()
    assert evaluate(case, case.truth, seen=None, ks=(N_ITEMS,))[f"map@{N_ITEMS}"] == pytest.approx(expected, abs=1e-6)
