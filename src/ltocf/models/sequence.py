"""SequenceKNN: neighbours are items that people touch close to each other, not only items of the same people."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models.nearest import PRODUCTS_AT_A_TIME, RowBlocks
from ltocf.models.neighbours import NeighbourModel
from ltocf.models.similarity import check_numbers
from ltocf.training import FitContext, FitResult, TrainingSettings
from ltocf.training.grid import Grid

USER_EXPONENT = 0.8
ROWS_AT_A_TIME = 4096
Places: TypeAlias = np.ndarray


class SequenceKNN(NeighbourModel):
    """Neighbours by how close two items are in the histories of those who touched both.

        s_ji = Σ_u d_u^-0.8 (1 + |place_uj - place_ui|)^-q / (d_j^a d_i^b),   j ≠ i

    Places are those in the order of a history; items of the same moment share one. d_u and d_i are lengths of histories
    and degrees of items. If there is no order, all items of a history are one place apart. Each item of a history keeps
    its k neighbours. k, q, a and b are chosen on validation.

    Args:
        graph: the training graph; its pairs have an order if the data have one.
        k: neighbours of each item at which the search starts, >= 1; kept without a validation set.
        nearness: q at which the search starts, >= 0; 0: all in the window count alike.
        history_exponent: a at which the search starts.
        item_exponent: b at which the search starts; a smaller one gives popular items more influence.
        window: how many items before and after an item count, >= 1.
        recency: ``off`` or ``auto``, see `HistoryRecommender`.
        seed: not used.

    Raises:
        ValueError: a number out of range.

    Source: sums over sequences that fall with the distance, as in the session-based neighbours of Ludewig & Jannach,
    UMUAI 2018, Section 3, https://doi.org/10.1007/s11257-018-9209-6. Differs: between items and not sessions, by a
    power of the distance, in both directions, and normalised by degrees.

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], timestamps=[1, 2, 3, 1])
        >>> model = SequenceKNN(BipartiteGraph.from_interactions(log), 200, 1.0, 0.0, 0.0)
        >>> model.prepare()
        >>> (model.scores(torch.tensor([1]))[0] * 6 * 3**0.8).round().tolist()  # one and two places from item 0
        [0.0, 3.0, 2.0]
    """

    kept_by: ClassVar[Literal["scored", "history"]] = "history"

    def __init__(
        self,
        graph: BipartiteGraph,
        k: int = 200,
        nearness: float = 0.5,
        history_exponent: float = 0.4,
        item_exponent: float = 0.3,
        window: int = 30,
        recency: str = "off",
        *,
        seed: int = 0,
    ) -> None:
        check_numbers(-float("inf"), history_exponent=history_exponent, item_exponent=item_exponent)
        if not 0 <= nearness < float("inf"):
            raise ValueError(f"`nearness` must be finite and >= 0, got {nearness}")
        if window < 1:
            raise ValueError(f"`window` must be >= 1, got {window}")
        self.window = window
        self._kept: dict[float, sp.csr_matrix] | None = None
        super().__init__(graph, k, [nearness, history_exponent, item_exponent], recency)

    @property
    def grid(self) -> Grid:
        exponents = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
        return {
            "k": self.k_values,
            "nearness": [0.5, 0.75, 1.0, 1.5, 2.0],
            "history_exponent": exponents,
            "item_exponent": exponents,
        }

    @property
    def reads_order(self) -> bool:
        return self.graph.later is not None

    def similarity_rows(self) -> RowBlocks:
        nearness, history_exponent, item_exponent = self.own_numbers[1:].tolist()
        degrees = self.graph.item_degrees.cpu().numpy().clip(min=1).astype(np.float64)
        sums = self._kept_sums(nearness)
        row_scale, column_scale = degrees**-history_exponent, degrees**-item_exponent

        def rows(start: int, end: int) -> sp.csr_matrix:
            block = sums[start:end]
            values = block.data * np.repeat(row_scale[start:end], np.diff(block.indptr)) * column_scale[block.indices]
            return sp.csr_matrix((values, block.indices, block.indptr), block.shape)

        return RowBlocks([*range(0, self.n_items, ROWS_AT_A_TIME), self.n_items], rows)

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Choose the numbers by a search; it keeps the sums over users, which do not depend on the exponents."""
        self._kept = {}
        try:
            return super().train_on(pairs, settings=settings, validation=validation, seed=seed, context=context)
        finally:
            self._kept = None

    def _kept_sums(self, nearness: float) -> sp.csr_matrix:
        """`_user_sums`; during a search those of the last nearness are kept."""
        if self._kept is None:
            return self._user_sums(nearness)
        if nearness not in self._kept:
            self._kept.clear()
            self._kept[nearness] = self._user_sums(nearness)
        return self._kept[nearness]

    def _user_sums(self, nearness: float) -> sp.csr_matrix:
        """The sum over users in the equation of the class, before it is divided by the degrees of items."""
        weights = self.graph.user_degrees.cpu().numpy().clip(min=1.0) ** -USER_EXPONENT
        if self.graph.later is None:
            pairs = self.graph.ratings()
            pairs.data[:] = 1.0
            sums = sp.csr_matrix(pairs.T @ sp.diags_array(weights * 2.0**-nearness) @ pairs)
            sums.setdiag(0.0)
            return sums
        users, items, later = self._in_order(self.graph.later.cpu().numpy())
        shape = (self.n_items, self.n_items)
        total, waiting = sp.csr_matrix(shape), [sp.coo_matrix(shape)]
        for step in range(1, self.window + 1):
            same = users[step:] == users[:-step]
            apart = later[:-step][same] - later[step:][same]
            values = weights[users[step:][same]] * (1.0 + apart) ** -nearness
            waiting.append(sp.coo_matrix((values, (items[:-step][same], items[step:][same])), shape))
            if sum(part.nnz for part in waiting) > PRODUCTS_AT_A_TIME or step == self.window:
                total, waiting = total + sp.csr_matrix(_joined(waiting, shape)), []
        return sp.csr_matrix(total + total.T)

    def _in_order(self, later: Places) -> tuple[Places, Places, Places]:
        """User, item and number of later items of every pair, each user's oldest item first."""
        users, items = self.graph.items_of(torch.arange(self.n_users, device=self.device))
        order = np.lexsort((-later, users.cpu().numpy()))
        return users.cpu().numpy()[order], items.cpu().numpy()[order], later[order]


def _joined(parts: list[sp.coo_matrix], shape: tuple[int, int]) -> sp.coo_matrix:
    values = np.concatenate([part.data for part in parts])
    rows, columns = (np.concatenate([getattr(part, side) for part in parts]) for side in ("row", "col"))
    return sp.coo_matrix((values, (rows, columns)), shape)
