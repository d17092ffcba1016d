"""Find wrong settings by building the smallest model, before anything is read or written."""

from __future__ import annotations

import importlib.util

from ltocf.data import Interactions, Split
from ltocf.graph import BipartiteGraph
from ltocf.installation import needs_extra
from ltocf.models import build_model
from ltocf.models.base import GradientRecommender
from ltocf.runs.config import AUTO, Config
from ltocf.runs.together import refuse_if_not_shareable


def rehearse(config: Config) -> None:
    """Find wrong settings before anything is read or written, by building the model of one user and one item.

    Raises:
        ValueError: an option that the model refuses, a device that does not exist, steps that cannot be recorded.
        MemoryError: weights that do not fit into memory even for one user and one item.
        ImportError: a requested extra is not installed.
    """
    refuse_if_not_shareable(config)
    device = config.runtime().torch_device()
    if config.model != AUTO:
        smallest = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
        try:
            model = build_model(config.model, smallest, config.options)
            model.prepare()
            model.scorer()
        except RuntimeError as error:
            if "allocate" not in str(error):
                raise
            raise MemoryError(f"{config.model} with these options does not fit into memory: {error}") from error
    if config.training.cuda_graphs and device.type != "cuda":
        raise ValueError(f"`cuda_graphs` needs a CUDA GPU, and the run is on {device}; leave it false")
    if config.run.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise needs_extra("`tensorboard` needs", "tracking")


def refuse_without_negatives(config: Config, split: Split) -> None:
    """Find early that no user has an item left as a negative when the validation set is trained on too.

    Raises:
        ValueError: the model needs negatives, and every user with an item has all items.
    """
    if config.model == AUTO or split.validation is None:
        return
    degrees = split.train.user_degrees + split.validation.user_degrees
    if (degrees % split.n_items).any():
        return
    everything = split.train.union(split.validation)
    model = build_model(config.model, BipartiteGraph.from_interactions(everything), config.options)
    for module in model.modules():  # the model itself, and the members of a blend
        if isinstance(module, GradientRecommender):
            module.batches(everything, len(everything), config.run.seed)
