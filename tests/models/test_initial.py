"""Initial parameters follow the distribution that the source of each model draws from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ltocf.graph import BipartiteGraph
from ltocf.models import CMN, GCMC, GRMF, LRGCCF, LTOCF, MF, NGCF, HOPRec, LightGCN, NeuMF, PinSage
from ltocf.models.initial import he, lecun, truncated_normal, xavier
from ltocf.models.variants import check_variant
from samples import random_interactions

LOG = random_interactions(60, 90, density=0.05)
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS, ITEMS, NODES, DIM = LOG.n_users, LOG.n_items, GRAPH.n_nodes, 64


def glorot(rows: int) -> float:
    return float(np.sqrt(2 / (rows + DIM)))


EMBEDDINGS: list[tuple[Any, dict[str, Any], float, float]] = [
    (MF, {}, 0.1, 0.1),
    (LightGCN, {}, 0.1, 0.1),
    (LTOCF, {}, 0.1, 0.1),
    (GRMF, {}, 0.1, 0.1),
    (LRGCCF, {}, 0.01, 0.01),
    (HOPRec, {}, 1 / DIM / np.sqrt(12), 1 / DIM / np.sqrt(12)),
    (NGCF, {}, glorot(USERS), glorot(ITEMS)),
    (NGCF, {"variant": "published"}, glorot(USERS), glorot(ITEMS)),
    (GCMC, {}, glorot(NODES), glorot(NODES)),
    (GCMC, {"variant": "published"}, glorot(USERS), glorot(ITEMS)),
    (PinSage, {"n_walks": 2}, glorot(USERS), glorot(ITEMS)),
    (PinSage, {"variant": "published"}, glorot(USERS), glorot(ITEMS)),
]
"""Model, options, and the standard deviations of the embeddings of its users and of its items."""


def has_deviation(values: torch.Tensor, deviation: float) -> bool:
    """Whether the mean is 0 and the deviation as given, up to four standard errors of a normal draw, the larger."""
    found, n = values.detach().double(), values.numel()
    centred = abs(float(found.mean())) < 4 * deviation / np.sqrt(n)
    return bool(centred and abs(float(found.std()) / deviation - 1) < 4 / np.sqrt(2 * n))


@pytest.mark.parametrize(
    ("build", "options", "user_deviation", "item_deviation"), EMBEDDINGS, ids=lambda value: str(value)[-40:]
)
def test_embeddings_start_with_the_deviations_of_the_source(
    build: Any, options: Any, user_deviation: float, item_deviation: float
) -> None:
    start = build(GRAPH, dim=DIM, **options).initial_embeddings
    assert has_deviation(start[:USERS], user_deviation)
    assert has_deviation(start[USERS:], item_deviation)


def test_neumf_starts_small_with_its_output_as_one_layer_over_both_towers() -> None:
    model = NeuMF(GRAPH, dim=DIM)
    assert has_deviation(model.gmf_embeddings, 0.01)
    assert has_deviation(model.mlp_embeddings, 0.01)
    for layer in model.layers:
        assert has_deviation(layer, np.sqrt(2 / sum(layer.shape)))
    output = torch.cat([model.gmf_weights, model.mlp_weights])
    assert len(output) == DIM + DIM // 4
    assert output.abs().max() <= np.sqrt(3 / len(output))
    assert output.abs().max() > 0.9 * np.sqrt(3 / len(output))
    assert not model.output_bias.any()


def test_cmn_starts_as_in_its_source() -> None:
    model = CMN(GRAPH, dim=DIM, n_hops=3)
    truncated = 0.01 * 0.8796  # the deviation of a normal distribution that is cut off at two deviations
    for table in (model.user_memory, model.item_embeddings, model.external_memory):
        assert has_deviation(table, truncated)
        assert table.abs().max() <= 0.02
    assert has_deviation(torch.cat([model.of_product, model.of_memory]), np.sqrt(2 / (2 * DIM)))
    for hop, bias in zip(model.hops, model.hop_biases, strict=True):
        assert has_deviation(hop, np.sqrt(2 / DIM))
        assert bias.eq(1).all()


def test_the_decoder_of_gc_mc_starts_as_a_scaled_rotation() -> None:
    decoder = GCMC(GRAPH, dim=DIM).decoder
    torch.testing.assert_close(decoder @ decoder.T, 1.21 * torch.eye(DIM), atol=1e-5, rtol=0)


def test_initialisers_draw_with_their_deviation() -> None:
    generator = torch.Generator().manual_seed(0)
    assert has_deviation(xavier(200, 100, generator), np.sqrt(2 / 300))
    assert has_deviation(lecun(200, 100, generator), np.sqrt(1 / 200))
    assert has_deviation(he(200, 100, generator), np.sqrt(2 / 200))
    assert has_deviation(truncated_normal(200, 100, 0.5, generator), 0.5 * 0.8796)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="`variant` must be one of source, published, got 'paper'"):
        check_variant("paper")
