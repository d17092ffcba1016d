"""The model card: what a model was trained on, how it was measured, what it cannot do; nothing but what is known."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ltocf.serving.abilities import takes_histories
from ltocf.serving.trained import TrainedModel

MEASURE = r"[a-z_]+@[0-9]+"
LONGEST_NAME = 200


def card(trained: TrainedModel, metrics: Mapping[str, Any], license: str | None) -> str:
    """README.md of a model on the Hugging Face Hub: front matter in YAML, then Markdown.

    Args:
        trained: the model.
        metrics: what metrics.json of its run holds; empty if there is none.
        license: an identifier of the Hub, or None.
    """
    measured = {name: value for name, value in metrics.items() if re.fullmatch(MEASURE, name) and _is_number(value)}
    sections = [
        _front_matter(trained, measured, license),
        _opening(trained),
        _usage(trained),
        _training(trained, metrics),
        _results(measured, metrics),
        _limits(trained, measured, metrics),
    ]
    return "\n".join(sections)


def yaml_text(text: str) -> str:
    """A text as a YAML string in double quotes, on one line, whatever is in it.

    Example:
        >>> yaml_text("a: \\"b\\"\\n\\u2028#")
        '"a: \\\\"b\\\\"\\\\n\\\\u2028#"'
    """
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in quoted)


def markdown_text(text: str) -> str:
    """A text that Markdown shows literally: markup escaped, on one line, no longer than 200 characters.

    Example:
        >>> markdown_text("<b>*x*</b>\\n| y")
        '&lt;b&gt;\\\\*x\\\\*&lt;/b&gt; \\\\| y'
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A colon makes a bare address, and an @ a mention, into a link.
    return re.sub(r"([\\`*_{}\[\]()#!|~$])", r"\\\1", line).replace(":", "&#58;").replace("@", "&#64;")


def _escaped(letter: str) -> str:
    """The escape of a character that YAML reads as a line break or refuses; half of a surrogate pair is replaced."""
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _front_matter(trained: TrainedModel, measured: Mapping[str, Any], license: str | None) -> str:
    """Metadata of https://github.com/huggingface/hub-docs/blob/main/modelcard.md; a license only if one is given."""
    lines = ["---"] + ([] if license is None else [f"license: {yaml_text(license)}"])
    lines += ["library_name: ltocf", "tags:"]
    tags = dict.fromkeys(("recommender-system", "collaborative-filtering", trained.name))
    lines += [f"- {yaml_text(tag)}" for tag in tags]
    if measured:
        dataset = _dataset(trained)
        lines += ["metrics:", *(f"- {yaml_text(name)}" for name in measured)]
        lines += ["model-index:", f"- name: {yaml_text(f'{trained.name} of {dataset}')}", "  results:"]
        lines += ["  - task:", "      type: recommendation", "      name: Top-k recommendation"]
        lines += ["    dataset:", f"      name: {yaml_text(dataset)}", f"      type: {yaml_text(_dashed(dataset))}"]
        lines += ["      split: test", "    metrics:"]
        for name, value in measured.items():  # 5e-05 would be a text in YAML 1.1
            lines += [
                f"    - type: {yaml_text(name)}",
                f"      name: {yaml_text(name)}",
                f"      value: {Decimal(repr(value)):f}",
            ]
    return "\n".join([*lines, "---", ""])


def _dataset(trained: TrainedModel) -> str:
    return trained.notes.get("dataset", "") or "unnamed data"


def _dashed(name: str) -> str:
    """A data set's name in the form that the Hub requires if it does not have the data set."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME] or "unnamed"


def _opening(trained: TrainedModel) -> str:
    n_users, n_items = trained.names.sizes
    return (
        f"# {markdown_text(trained.name)}, trained on {markdown_text(_dataset(trained))}\n\n"
        f"A collaborative filtering model of the package `ltocf`: it ranks {n_items:,} items for {n_users:,} users, "
        f"and was trained on {len(trained.seen):,} pairs of a user and an item.\n"
    )


def _usage(trained: TrainedModel) -> str:
    lines = [
        "## Use",
        "",
        "```python",
        "import ltocf",
        "",
        'trained = ltocf.load("FOLDER")  # a copy of this repository',
        "users = trained.user_ids.ids[:3].to_list()",
        "print(trained.recommend(users, k=10))",
    ]
    if takes_histories(type(trained.model)):
        lines += [
            "history = trained.item_ids.ids[:3].to_list()  # of somebody who was not in training",
            "print(trained.snapshot.fold_in([history], k=10))",
        ]
    return "\n".join([*lines, "```", ""])


def _training(trained: TrainedModel, metrics: Mapping[str, Any]) -> str:
    rows = {"data": _dataset(trained)}
    split = metrics.get("split")
    if isinstance(split, Mapping):
        rows["pairs"] = ", ".join(
            f"{name} {split[name]:,}" for name in ("train", "validation", "test") if name in split
        )
    if "protocol" in metrics:
        rows["protocol"] = str(metrics["protocol"])
    update = metrics.get("update")
    if isinstance(update, Mapping):
        rows["update"] = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in update.items())
    rows["seed"] = str(metrics.get("seed", trained.notes.get("seed", "not recorded")))
    environment = metrics.get("environment")
    if isinstance(environment, Mapping):
        rows["made with"] = ", ".join(
            f"{name} {environment[name]}" for name in ("ltocf", "torch") if name in environment
        )
    lines = ["## Training", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {markdown_text(text)} |" for name, text in rows.items()]
    return "\n".join([*lines, "", "`config.json` has the options of the model.", ""])


def _results(measured: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    if not measured:
        return "## Results\n\nNothing was measured: no pairs were held back for a test, or no measurement is at hand.\n"
    lines = ["## Results", "", "On the test set of the data above, all items ranked, items of training left out.", ""]
    lines += ["| metric | value |", "|---|---|", *(f"| {name} | {value:.4f} |" for name, value in measured.items())]
    if metrics.get("select_on") == "test":
        lines += ["", "The epoch was chosen on this test set, so these numbers are optimistic."]
    return "\n".join([*lines, ""])


def _limits(trained: TrainedModel, measured: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    can_fold_in = takes_histories(type(trained.model))
    others = "a history of known items stands for anybody else" if can_fold_in else "nobody else can be given a list"
    limits = [f"It knows the users and items of its training and no others; {others}."]
    if cold := metrics.get("cold_items"):
        limits.append(f"{cold:,} items of the data have no pair in training: nothing was learned about them.")
    if measured:
        limits.append("The numbers say how well withheld pairs of this data are found, and nothing about other data.")
    limits.append(
        "`model.safetensors` holds the pairs it was trained on, with the ids of users and items"
        + (", and titles or attributes of items" if trained.titles or trained.names.attributes is not None else "")
        + ": share it only if you may share these."
    )
    return "\n".join(["## Limits", "", *(f"- {limit}" for limit in limits), ""])
