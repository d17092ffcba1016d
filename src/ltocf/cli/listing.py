"""``ltocf models`` and ``ltocf settings``: the models, and the settings of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ltocf.cli.output import Format, show_rows


def models(*, results: Path = Path("results"), format: Format = "table") -> None:
    """The models: what each is, where it comes from, and what it can do.

    Parameters
    ----------
    results
        Folder of results that `ltocf reproduce` wrote; if it exists, the largest data set each model was tried on is
        shown.
    format
        Format of the output.
    """
    from ltocf.runs import reference

    known_models = reference.models(results)
    columns = ["name", "summary", "source", "folds_in", "explains", "largest_data"]
    if not any(model.largest_data for model in known_models):
        columns.remove("largest_data")
    rows = [[getattr(model, column) for column in columns] for model in known_models]
    caption = (
        "folds in: lists for users who were not in training; explains: what each item of a history adds to a score"
    )
    if format == "table":
        columns = [column.replace("_", " ") for column in columns]
    show_rows(columns, rows, format, "--model NAME; without it several compete (auto)", caption)


def settings(model: str = "ltocf", /, *, format: Format = "table") -> None:
    """Every setting of a model, its training, the run and the data: values in both presets, values allowed, meaning.

    Parameters
    ----------
    model
        Name of a model, or auto.
    format
        Format of the output.
    """
    from ltocf.runs import reference

    known_settings = reference.settings(model)
    columns = ["section", "name", "fast", "paper", "auto", "allowed", "meaning"]
    if model == "auto" or not any(setting.auto for setting in known_settings):
        columns.remove("auto")
    rows = [[getattr(setting, column) for column in columns] for setting in known_settings]
    if format == "table":
        columns.remove("section")
        rows = [[_as_typed(column, value) for column, value in zip(columns, row[1:], strict=True)] for row in rows]
    caption = "fast is the default preset; auto: the values that are tried when several models compete, without --model"
    show_rows(columns, rows, format, f"{model}: --set NAME=VALUE, in Python NAME=VALUE", caption)


def _as_typed(column: str, value: Any) -> str:
    """A value as ``--set`` takes it.

    Example:
        >>> _as_typed("fast", True), _as_typed("fast", "exact"), _as_typed("auto", [128, 64]), _as_typed("auto", None)
        ('true', 'exact', '128, 64', '')
    """
    if column == "auto" and value is not None:
        return ", ".join(_as_typed("", each) for each in value)
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
