"""Names of methods, data sets and solvers as people write them."""

from __future__ import annotations

from pathlib import Path

REFERENCES = {
    "popularity": "Popularity",
    "item-knn": "ItemKNN",
    "rp3beta": "RP3beta",
    "ease": "EASE",
    "history-regression": "History regression",
    "als": "ALS",
    "spectral": "Spectral",
}
"""Simple methods and closed forms that every comparison should include; their rows stand above the paper's."""
METHODS = REFERENCES | {
    "mf": "MF",
    "neumf": "NeuMF",
    "cmn": "CMN",
    "hop-rec": "HOP-Rec",
    "gc-mc": "GC-MC",
    "pinsage": "PinSage",
    "mult-vae": "Mult-VAE",
    "grmf": "GRMF",
    "grmf-norm": "GRMF-Norm",
    "ngcf": "NGCF",
    "lr-gccf": "LR-GCCF",
    "lightgcn": "LightGCN",
    "ltocf": "LT-OCF",
    "blend": "Blend",
}
DATA = {
    "gowalla": "Gowalla",
    "yelp2018": "Yelp2018",
    "amazon-book": "Amazon Book",
    "amazon-beauty": "Amazon Beauty",
    "irb-amazon2014-health": "Amazon Health",
    "movielens-small": "MovieLens small",
}
SOLVERS = {
    "euler": "Euler",
    "rk4": "RK4",
    "adams_bashforth": "Adams–Bashforth",
    "adams_moulton": "Adams–Moulton",
    "dopri5": "Dormand–Prince",
}


def method_name(method: str) -> str:
    """A method as its paper writes it; an unknown method keeps its name.

    Example:
        >>> method_name("ltocf"), method_name("mine")
        ('LT-OCF', 'mine')
    """
    return METHODS.get(method, method)


def data_name(source: str) -> str:
    """A data set as people write it; an unknown one has the stem of its file or the name of its folder.

    Example:
        >>> data_name("irb-amazon2014-health"), data_name("logs/events.csv")
        ('Amazon Health', 'events')
    """
    name = Path(source).name
    return DATA.get(name, Path(name).stem or source)


def solver_name(solver: str) -> str:
    """A solver as people write it.

    Example:
        >>> solver_name("dopri5"), solver_name("exact")
        ('Dormand–Prince', 'exact')
    """
    return SOLVERS.get(solver, solver)
