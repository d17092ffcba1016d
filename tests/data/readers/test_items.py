"""Item tables, with a row for each item: titles and attributes by index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dataset_views import report_text
from ltocf.data import Dataset, RawTable, ReadOptions, dataset_from_table, to_dataset

LOG = {"user": ["a", "b", "b"], "item": ["7", "9", "30"]}


def read(items: Any, log: dict[str, list[str]] | None = None, **options: Any) -> Dataset:
    table = RawTable("log.csv", pl.DataFrame(log or LOG), from_text=True)
    return dataset_from_table(table, ReadOptions(items=items, **options))


def write(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


def test_titles_and_attributes_are_in_the_order_of_the_index_and_typed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "items.csv",
        "price,item_id,name,code\n1.5,30,Ran,007\nNA, 7 ,Heat,12\n3,99,Other,1\n8,7,Again,2\n5,NA,None,3\n",
    )
    dataset = read(path)
    assert dataset.item_ids.ids.to_list() == [7, 9, 30]
    assert dataset.titles == ("Heat", "9", "Ran")
    attributes = dataset.names.attributes
    assert attributes is not None
    assert attributes.to_dict(as_series=False) == {
        "price": [None, None, 1.5],
        "name": ["Heat", None, "Ran"],
        "code": ["12", None, "007"],
    }
    for note in (
        "attributes of 2 items; ids: 'item_id' (usual name), titles: 'name'",
        "1 row of items without interactions",
        "1 row that repeat an id: the first of each counts",
        "1 row without an id",
        "1 item not in it",
    ):
        assert note in report_text(dataset)


def test_truth_values_are_recognised_in_text(tmp_path: Path) -> None:
    content = "item,in_stock,Sold,open\n7,true,TRUE,true\n9,False,FALSE,maybe\n30,NA,,false\n"
    attributes = read(write(tmp_path / "items.csv", content)).names.attributes
    assert attributes is not None
    assert attributes.to_dict(as_series=False) == {
        "in_stock": [True, False, None],
        "Sold": [True, False, None],
        "open": ["true", "maybe", "false"],
    }


def test_types_come_from_the_whole_item_table_not_only_from_the_items_of_the_log(tmp_path: Path) -> None:
    path = write(tmp_path / "items.csv", "item,price,code\n1,2,A1\n7,3,5\n2,2.5,6\n")
    for item, row in (("7", (3.0, "5")), ("99", (None, None))):
        attributes = read(path, {"user": ["a"], "item": [item]}).names.attributes
        assert attributes is not None
        assert (attributes.schema, attributes.row(0)) == ({"price": pl.Float64(), "code": pl.String()}, row)


def test_a_frame_may_be_given_and_its_columns_named() -> None:
    frame = pl.DataFrame(
        {"sku": [9, 7, 30], "label": ["N", "S", "D"], "name": ["n", "s", "d"], "stock": [True, None, False]}
    )
    dataset = read(frame, item_id_column="sku", title_column="label")
    assert dataset.titles == ("S", "N", "D")
    assert dataset.names.attributes is not None
    assert dataset.names.attributes["stock"].to_list() == [None, True, False]
    assert read(frame, item_id_column="sku", title_column="").titles is None
    assert read(frame).titles == ("s", "n", "d")  # `sku` is a usual name of items


@pytest.mark.parametrize("ids", [["7", "x"], ["007", "7"]])
def test_integers_and_their_usual_text_are_the_same_item(ids: list[str]) -> None:
    dataset = read(pl.DataFrame({"id": [7], "title": ["Heat"]}), {"user": ["a", "b"], "item": ids})
    assert dataset.titles is not None
    assert dataset.titles[dataset.item_ids.encode_one("7")] == "Heat"
    strings = pl.DataFrame({"id": ["7", "007", "30"], "title": ["Heat", "Bond", "Ran"]})
    assert read(strings).titles == ("Heat", "9", "Ran")


def test_the_column_named_in_the_log_is_looked_for_first() -> None:
    log = {"user": ["a"], "what": ["7"]}
    items = pl.DataFrame({"item": [1], "what": [7], "title": ["Heat"]})
    assert read(items, log, item_column="what").titles == ("Heat",)


@pytest.mark.parametrize(
    "items", [{"item": ["7"], "title": ["Heat"]}, [{"item": 7, "title": "Heat"}]], ids=["columns", "records"]
)
def test_items_may_be_columns_or_records_in_memory(items: Any) -> None:
    dataset = read(items)
    assert dataset.titles == ("Heat", "9", "30")
    assert "item table memory: attributes of 1 item" in report_text(dataset)


def test_a_table_of_ids_alone_gives_titles_only_if_asked_for() -> None:
    dataset = read(pl.DataFrame({"id": [7]}))
    assert (dataset.titles, dataset.names.attributes) == (None, None)
    assert read(pl.DataFrame({"id": [7]}), title_column="id").titles == ("7", "9", "30")


def test_histories_in_a_dict_may_have_an_item_table() -> None:
    dataset = to_dataset({"a": [0, 2], "b": [1]}, items=pl.DataFrame({"item": [2, 0], "title": ["C", "A"]}))
    assert dataset.titles == ("A", "1", "C")


def test_item_tables_without_the_named_columns_are_refused_and_without_known_ids_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(
        ValueError, match=r"no column is named like item ids; pass `item_id_column` as one of \['what'\]"
    ):
        read(pl.DataFrame({"what": [7]}))
    with pytest.raises(ValueError, match=r"`title_column` must be one of the columns \['id'\], got 'name'"):
        read(pl.DataFrame({"id": [7]}), title_column="name")
    read(pl.DataFrame({"id": [99], "title": ["none"]}))
    assert "none of its ids is the id of an item of the log" in caplog.text
