"""The repr of a value of any size is one short line, and its HTML table is escaped."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import torch

from ltocf.data import Dataset, Histories, IdMap, Interactions, Names, Split, load_dataset
from ltocf.data.display import Shown

LOG = Interactions.from_pairs([0, 0, 1], [0, 1, 1], 2, 3, timestamps=[1, 2, 3])
HOSTILE = "<script>alert('x')</script>&\n" * 30
NAMES = Names(IdMap([HOSTILE, HOSTILE * 2]), IdMap.identity(3), (HOSTILE,) * 3)

VALUES: dict[str, Shown] = {
    "Interactions(n_users=2, n_items=3, n_pairs=3, timestamps=True)": LOG,
    "Split(n_users=2, n_items=3, n_train=3, n_test=0, n_validation=0)": Split(LOG, LOG.where(LOG.users > 1)),
    "IdMap(n=3, kind='integers', first=[0, 1, 2])": NAMES.item_ids,
    "Names(n_users=2, n_items=3, titles=True)": NAMES,
    "Histories(n_rows=2, n_items=3, n_entries=3)": Histories.of(LOG),
    "Dataset(name='log.csv', n_users=2, n_items=3, n_pairs=3, n_test_pairs=0, timestamps=True, titles=True)": Dataset(
        "log.csv", LOG, NAMES
    ),
}


@pytest.mark.parametrize(("line", "value"), VALUES.items())
def test_the_repr_is_one_line_with_the_sizes(line: str, value: Shown) -> None:
    assert repr(value) == str(value) == line


@pytest.mark.parametrize("value", [*VALUES.values(), NAMES.user_ids, Dataset(HOSTILE, LOG, NAMES)])
def test_repr_is_short_and_html_is_escaped_whatever_the_texts(value: Shown) -> None:
    assert len(repr(value)) < 200
    assert "\n" not in repr(value)
    table = ElementTree.fromstring(value._repr_html_())
    assert {element.tag for element in table.iter()} == {"table", "caption", "tr", "th", "td"}
    assert [row.findtext("th") for row in table.iter("tr")] == list(value.facts())


def test_the_repr_of_a_large_value_is_short_too() -> None:
    dataset = load_dataset("movielens-small")
    histories = Histories.of(dataset.interactions)
    for value in (dataset, dataset.interactions, dataset.names, dataset.user_ids, histories):
        assert len(repr(value)) < 200
    assert "<td>62,106</td>" in dataset._repr_html_()
    assert repr(histories.rows(torch.tensor([0]))).startswith("Histories(n_rows=1, ")
