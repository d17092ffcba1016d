"""Scores become ranked lists, lists become hits, hits become numbers."""

from ltocf.evaluation.beyond import BeyondAccuracy, beyond_accuracy
from ltocf.evaluation.evaluate import PerUserMetrics, evaluate, evaluate_per_user, find_hits
from ltocf.evaluation.groups import ItemGroup, UserGroup
from ltocf.evaluation.metrics import (
    METRICS,
    Metric,
    MetricFunction,
    average_precision,
    coverage,
    hit_rate,
    mrr,
    ndcg,
    precision,
    recall,
)
from ltocf.evaluation.top_k import NO_ITEM, Lister, Ranked, Scorer, rank, top_k
from ltocf.evaluation.validation import Validation, sample_users

__all__ = [
    "METRICS",
    "NO_ITEM",
    "BeyondAccuracy",
    "ItemGroup",
    "Lister",
    "Metric",
    "MetricFunction",
    "PerUserMetrics",
    "Ranked",
    "Scorer",
    "UserGroup",
    "Validation",
    "average_precision",
    "beyond_accuracy",
    "coverage",
    "evaluate",
    "evaluate_per_user",
    "find_hits",
    "hit_rate",
    "mrr",
    "ndcg",
    "precision",
    "rank",
    "recall",
    "sample_users",
    "top_k",
]
