"""What an LT-OCF model does to the frequencies of the graph: its times, its response, and the share of each state.

python examples/inspect_response.py [--run RUN_FOLDER] [--figure FILE.svg]     (the figure needs the plots extra)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import ltocf


def build() -> ltocf.LTOCF:
    """An untrained model on the shipped data."""
    interactions = ltocf.load_dataset("movielens-small").interactions
    return ltocf.LTOCF(ltocf.BipartiteGraph.from_interactions(interactions), dim=16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="a finished run of model ltocf; without it, an untrained model")
    parser.add_argument("--figure", help="an .svg, .png or .pdf file to draw the response to")
    arguments = parser.parse_args()
    model = build() if arguments.run is None else ltocf.load(arguments.run).model
    if not isinstance(model, ltocf.LTOCF):
        parser.error(f"{arguments.run} is not a run of model ltocf")

    boundaries, shares = model.times.boundaries().tolist(), model.state_shares().tolist()
    for time, share in zip(boundaries, shares, strict=True):
        print(f"state at t = {time:.3f}: {share:7.2%} of the output")
    eigenvalues = torch.linspace(-1, 1, 5)
    for eigenvalue, value in zip(eigenvalues.tolist(), model.response(eigenvalues).tolist(), strict=True):
        print(f"h({eigenvalue:+.1f}) = {value:.4f}")
    print(f"sparse products per pass: {len(model.coefficients()) - 1}")
    if arguments.figure is not None:
        from ltocf.report.run_figures import response_figure, save_figure

        name = "untrained" if arguments.run is None else Path(arguments.run).name
        save_figure(response_figure({"h(λ)": model}, title=f"Response of LT-OCF: {name}"), arguments.figure)


if __name__ == "__main__":
    main()
