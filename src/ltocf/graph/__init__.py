"""Interactions become an operator: built once, applied many times, and decomposed."""

from ltocf.graph.csr import csr_tensor, products_at
from ltocf.graph.operator import BipartiteGraph
from ltocf.graph.svd import item_singular_vectors

__all__ = ["BipartiteGraph", "csr_tensor", "item_singular_vectors", "products_at"]
