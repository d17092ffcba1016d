"""One all-ranking evaluation, side by side with `implicit` and with the loops of the reference programs.

The embeddings are LightGCN's of random initial ones; all contenders rank the same scores.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ltocf.bench.contenders import LightGCNCoo
from ltocf.data import Split
from ltocf.evaluation import evaluate, find_hits, ndcg, rank, recall
from ltocf.graph import BipartiteGraph
from ltocf.models import EmbeddingScorer
from ltocf.shapes import RankedItems
from ltocf.training import environment
from ltocf.training.memory import forget_peak, peak_bytes, resident_bytes

K = 20
USERS_PER_LOOP = 100
EXCLUDED = -1024.0
Metrics = dict[str, float]


class Contest:
    """The same lists, ranked and measured in several ways."""

    def __init__(self, split: Split, dim: int, threads: int, device: torch.device) -> None:
        self.program = LightGCNCoo(BipartiteGraph.from_interactions(split.train).to(device), dim).to(device)
        self.scorer = self.propagated()
        self.seen, self.truth, self.threads = split.train, split.test, threads
        # For the loops: the reference programs too have these ready before they evaluate.
        self.seen_matrix = split.train.matrix()
        self.relevant = [
            items.tolist() for items in np.split(split.test.items, np.cumsum(split.test.user_degrees)[:-1])
        ]
        self.users = torch.from_numpy(np.flatnonzero(split.test.user_degrees))

    def evaluate(self) -> Metrics:
        """The package: ranking, every metric, coverage."""
        return evaluate(self.scorer, self.truth, seen=self.seen, ks=(K,))

    def rank(self) -> RankedItems:
        """The package: the lists alone."""
        return rank(self.scorer, self.users, K, seen=self.seen).items

    def implicit(self) -> RankedItems:
        """implicit's ``recommend``: the lists alone."""
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import ThreadpoolController

        users = self.users.numpy()
        # implicit has threads of its own and wants a BLAS with one thread.
        with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
            peer = AlternatingLeastSquares(factors=self.scorer.item_embeddings.shape[1], num_threads=self.threads)
            peer.user_factors = self.scorer.user_embeddings.cpu().numpy()
            peer.item_factors = self.scorer.item_embeddings.cpu().numpy()
            history = self.seen.matrix()[users]
            lists, _ = peer.recommend(users, history, N=K, filter_already_liked_items=True)
        return torch.from_numpy(lists).long()

    @torch.no_grad()
    def propagated(self) -> EmbeddingScorer:
        """The embeddings to rank, as the reference programs compute them."""
        final = self.program.propagate(self.program.initial_embeddings)
        return EmbeddingScorer(final[: self.program.n_users], final[self.program.n_users :])

    def loops_propagating(self) -> Metrics:
        """The reference programs as they are: `loops` that compute the embeddings again for every 100 users."""
        return self.loops(propagating=True)

    def loops(self, *, propagating: bool = False) -> Metrics:
        """The reference programs: 100 users at a time, seen items and hits by Python loops over users."""
        scorer = self.scorer
        totals = {f"recall@{K}": 0.0, f"ndcg@{K}": 0.0}
        for users in torch.split(self.users, USERS_PER_LOOP):
            if propagating:
                scorer = self.propagated()
            items = scorer.item_embeddings
            rating = torch.matmul(scorer.user_embeddings[users.to(items.device)], items.T)
            rows: list[int] = []
            columns: list[int] = []
            for row, user in enumerate(users.tolist()):
                seen = self.seen_matrix[user].nonzero()[1]
                rows.extend([row] * len(seen))
                columns.extend(seen)
            rating[rows, columns] = EXCLUDED
            lists = torch.topk(rating, k=K)[1].cpu().numpy()
            relevant = [self.relevant[user] for user in users.tolist()]
            for name, total in _metrics_by_loops(lists, relevant).items():
                totals[name] += total
        return {name: total / len(self.users) for name, total in totals.items()}

    def metrics_of(self, lists: RankedItems) -> Metrics:
        hits = find_hits(self.users, lists, self.truth)
        n_relevant = torch.tensor(self.truth.user_degrees)[self.users]
        return {
            f"recall@{K}": recall(hits, n_relevant).mean().item(),
            f"ndcg@{K}": ndcg(hits, n_relevant).mean().item(),
        }


def _metrics_by_loops(lists: np.ndarray, relevant: list[list[int]]) -> Metrics:
    """Sums of recall and NDCG over the users of a batch."""
    hits = np.zeros((len(relevant), K))
    for row, of_user in enumerate(relevant):
        hits[row] = [float(item in of_user) for item in lists[row]]
    n_relevant = np.array([len(of_user) for of_user in relevant])
    ideal = np.zeros_like(hits)
    for row, of_user in enumerate(relevant):
        ideal[row, : min(K, len(of_user))] = 1
    discounts = 1 / np.log2(np.arange(2, K + 2))
    gains = (hits * discounts).sum(1) / (ideal * discounts).sum(1)
    return {f"recall@{K}": float((hits.sum(1) / n_relevant).sum()), f"ndcg@{K}": float(gains.sum())}


def take_turns(
    ways: Mapping[str, tuple[Callable[[], Any], int]], say: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of every call and the last answer of each way; a way with fewer repeats drops out early."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers = {}
    for turn in range(max(repeats for _, repeats in ways.values())):
        for name, (call, repeats) in ways.items():
            if turn >= repeats:
                continue
            started = perf_counter()
            answers[name] = call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(perf_counter() - started)
            say(f"{name} {seconds[name][-1]:.2f} s")
    return seconds, answers


def agreement(contest: Contest, answers: Mapping[str, Any]) -> dict[str, float]:
    """Differences of the metrics from those of `evaluate`, and the share of implicit's lists with other items."""
    ours = answers["evaluate"]
    differences: dict[str, float] = {}
    for name in ("loops", "loops_propagating", "rank", "implicit"):
        if name in answers:
            theirs = answers[name] if name.startswith("loops") else contest.metrics_of(answers[name])
            differences |= {f"{name} {metric}": abs(value - ours[metric]) for metric, value in theirs.items()}
    if "implicit" in answers:
        lists, others = (answers[name].cpu().sort(1).values for name in ("rank", "implicit"))
        differences["implicit lists with other items"] = (lists != others).any(1).double().mean().item()
    return differences


def ratios(medians: Mapping[str, float]) -> dict[str, float]:
    """Ratios of the median seconds of the ways that were measured.

    Example:
        >>> ratios({"evaluate": 2.0, "rank": 1.5, "loops": 8.0, "implicit": 3.0})
        {'implicit / evaluate': 1.5, 'implicit / rank': 2.0, 'loops / evaluate': 4.0}
    """
    pairs = (
        ("implicit", "evaluate"),
        ("implicit", "rank"),
        ("loops", "evaluate"),
        ("loops_propagating", "evaluate"),
    )
    return {f"{name} / {way}": medians[name] / medians[way] for name, way in pairs if name in medians}


def bench_ranking(
    dataset: str,
    split: Split,
    *,
    dim: int = 64,
    device: torch.device,
    repeats: int = 5,
    loop_repeats: int = 2,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Everything about one evaluation of all users with a pair in the test set.

    Args:
        dataset: a name for the record.
        split: its training pairs are left out of the lists.
        dim: length of an embedding.
        device: where to compute; `implicit` always computes on the CPU.
        repeats: evaluations.
        loop_repeats: evaluations by loops, or 0; those that compute the embeddings again for every 100 users run once.
        say: receives a line for every evaluation.
    """
    contest = Contest(split, dim, torch.get_num_threads(), device)
    before = resident_bytes() if device.type == "cpu" else torch.cuda.memory_allocated(device)
    forget_peak(device)
    contest.evaluate()  # also the warm-up
    evaluation_bytes = peak_bytes(device) - before
    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "evaluate": (contest.evaluate, repeats),
        "rank": (contest.rank, repeats),
        "implicit": (contest.implicit, repeats),
        "loops": (contest.loops, loop_repeats),
        "loops_propagating": (contest.loops_propagating, min(loop_repeats, 1)),
    }
    skipped = {}
    if any(importlib.util.find_spec(module) is None for module in ("implicit", "threadpoolctl")):
        skipped["implicit"] = "implicit and threadpoolctl are not both installed"
        say(f"implicit is skipped: {skipped['implicit']}")
        del ways["implicit"]
    seconds, answers = take_turns({name: way for name, way in ways.items() if way[1]}, say)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    return {
        "dataset": dataset,
        "n_queries": len(contest.users),
        "n_items": contest.seen.n_items,
        "dim": dim,
        "k": K,
        "median": medians,
        "ratios": ratios(medians),
        "agreement": agreement(contest, answers),
        "seconds": seconds,
        "evaluation_bytes": evaluation_bytes,
        "all_scores_bytes": len(contest.users) * contest.seen.n_items * 4,
        "skipped": skipped,
        "environment": environment(device),
    }
