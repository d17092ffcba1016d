"""The axis vocabulary: every array in the package has one of these shapes.

Axes: ``nodes`` = users followed by items; ``dim`` = embedding size, ``final_dim`` that after propagation and
``scored_dim`` that of what is ranked; ``pairs`` = interactions; ``batch`` = one training batch; ``negatives`` = its
sampled items; ``queries`` = users asked for; ``k`` = length of a ranked list.
Under pytest the annotations are checked at run time (jaxtyping with beartype).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, Int64
from torch import Tensor

PairIndices: TypeAlias = Int64[np.ndarray, " pairs"]
PairTimestamps: TypeAlias = Int64[np.ndarray, " pairs"]
PairWeights: TypeAlias = Float32[np.ndarray, " pairs"]
PairAges: TypeAlias = Int32[np.ndarray, " pairs"]
PairDays: TypeAlias = Float32[np.ndarray, " pairs"]
PairMask: TypeAlias = Bool[np.ndarray, " pairs"]
Counts: TypeAlias = Int64[np.ndarray, " counted"]
UserIndices: TypeAlias = Int64[Tensor, " queries"]

Embeddings: TypeAlias = Float[Tensor, "nodes dim"]
FinalEmbeddings: TypeAlias = Float[Tensor, "nodes final_dim"]
QueryVectors: TypeAlias = Float[Tensor, "queries dim"]
UserEmbeddings: TypeAlias = Float[Tensor, "users dim"]
ItemEmbeddings: TypeAlias = Float[Tensor, "items dim"]
ScoredUsers: TypeAlias = Float[Tensor, "users scored_dim"]
ScoredItems: TypeAlias = Float[Tensor, "items scored_dim"]
NodeScales: TypeAlias = Float[Tensor, "nodes 1"]
NodeDegrees: TypeAlias = Int32[Tensor, " nodes"]
SingularValues: TypeAlias = Float[Tensor, " rank"]
Numbers: TypeAlias = Float[Tensor, " numbers"]
Scores: TypeAlias = Float[Tensor, "queries items"]

BatchIndices: TypeAlias = Int64[Tensor, " batch"]
BatchScores: TypeAlias = Float[Tensor, " batch"]
BatchEmbeddings: TypeAlias = Float[Tensor, "batch dim"]
NegativeIndices: TypeAlias = Int64[Tensor, " negatives"]
NegativeEmbeddings: TypeAlias = Float[Tensor, "negatives dim"]
NegativeCounts: TypeAlias = Float[Tensor, " negatives"]
Scalar: TypeAlias = Float[Tensor, ""]

Times: TypeAlias = Float[Tensor, " times"]
Eigenvalues: TypeAlias = Float[Tensor, " eigenvalues"]
Response: TypeAlias = Float[Tensor, " eigenvalues"]
StateResponses: TypeAlias = Float[Tensor, "states eigenvalues"]
Coefficients: TypeAlias = Float[Tensor, " coefficients"]
Transform: TypeAlias = Float[Tensor, "nodes nodes"]

RankedItems: TypeAlias = Int64[Tensor, "queries k"]
ListScores: TypeAlias = Float[Tensor, "queries k"]
Hits: TypeAlias = Bool[Tensor, "queries k"]
RelevantCounts: TypeAlias = Int64[Tensor, " queries"]
PerUser: TypeAlias = Float[Tensor, " queries"]
ItemCounts: TypeAlias = Int64[Tensor, " items"]
ItemValues: TypeAlias = Float[Tensor, " items"]
MeasuredUsers: TypeAlias = Int64[np.ndarray, " queries"]
UserValues: TypeAlias = Float[np.ndarray, " queries"]
