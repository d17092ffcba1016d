"""A data set as plain values, for assertions."""

from __future__ import annotations

from ltocf.data import Dataset


def id_pairs(dataset: Dataset) -> list[tuple[object, object]]:
    """The interactions as pairs of a user id and an item id."""
    users = dataset.user_ids.decode(dataset.interactions.users)
    return list(zip(users, dataset.item_ids.decode(dataset.interactions.items), strict=True))


def report_text(dataset: Dataset) -> str:
    """The text of the reading report."""
    assert dataset.report is not None
    return dataset.report.text()
