"""Interactions, ids and titles as named arrays, for safetensors files: no pickles, readable anywhere."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions, check_32_bits, read_only
from ltocf.data.names import Names

Arrays = dict[str, np.ndarray]
OPTIONAL = ("timestamps", "weights", "places")
"""What a pair may have besides its user and item."""


def pack_interactions(name: str, interactions: Interactions) -> Arrays:
    """``name.users``, ``name.items``, ``name.size`` = (n_users, n_items), and those of `OPTIONAL` that the pairs have.

    Raises:
        ValueError: 2^31 users or items, or more.

    Example:
        >>> log = Interactions.from_pairs([0, 2], [1, 0])
        >>> again = unpack_interactions("train", pack_interactions("train", log))
        >>> again.users.tolist(), again.items.tolist(), again.n_users
        ([0, 2], [1, 0], 3)
    """
    check_32_bits(users=interactions.n_users, items=interactions.n_items)
    packed: Arrays = {
        f"{name}.users": interactions.users.astype(np.int32),
        f"{name}.items": interactions.items.astype(np.int32),
        f"{name}.size": np.array([interactions.n_users, interactions.n_items], np.int64),
    }
    optional = {f"{name}.{kind}": getattr(interactions, kind) for kind in OPTIONAL}
    return packed | {key: array for key, array in optional.items() if array is not None}


def unpack_interactions(name: str, arrays: Mapping[str, np.ndarray]) -> Interactions:
    """The inverse of `pack_interactions`."""
    n_users, n_items = arrays[f"{name}.size"].tolist()
    users, items = (read_only(arrays[f"{name}.{side}"].astype(np.int64)) for side in ("users", "items"))
    when, weights, places = (arrays.get(f"{name}.{kind}") for kind in OPTIONAL)
    return Interactions(users, items, n_users, n_items, when, weights, places)


def pack_names(names: Names) -> Arrays:
    """The caller's ids of both sides, and titles and attributes of the items if there are any."""
    packed = _pack_ids("user_ids", names.user_ids) | _pack_ids("item_ids", names.item_ids)
    if names.titles is not None:
        packed |= pack_text("titles", names.titles)
    if names.attributes is not None:
        buffer = io.BytesIO()
        names.attributes.write_parquet(buffer)
        packed["attributes.parquet"] = np.frombuffer(buffer.getvalue(), np.uint8)
    return packed


def unpack_names(arrays: Mapping[str, np.ndarray]) -> Names:
    """The inverse of `pack_names`."""
    titles = tuple(unpack_text("titles", arrays)) if "titles.bytes" in arrays else None
    attributes = None
    if "attributes.parquet" in arrays:
        attributes = pl.read_parquet(io.BytesIO(arrays["attributes.parquet"].tobytes()))
    return Names(_unpack_ids("user_ids", arrays), _unpack_ids("item_ids", arrays), titles, attributes)


def _pack_ids(name: str, ids: IdMap) -> Arrays:
    """Integer ids as one array, string ids as `pack_text`."""
    if ids.ids.dtype == pl.Int64:
        return {f"{name}.integers": ids.ids.to_numpy().copy()}
    return pack_text(name, ids.ids.to_list())


def _unpack_ids(name: str, arrays: Mapping[str, np.ndarray]) -> IdMap:
    if f"{name}.integers" in arrays:
        return IdMap(pl.Series(arrays[f"{name}.integers"]))
    return IdMap(pl.Series(unpack_text(name, arrays), dtype=pl.String))


def pack_text(name: str, texts: Sequence[str]) -> Arrays:
    """All texts as one run of UTF-8 bytes, ``name.bytes``, and where each ends, ``name.ends``.

    Example:
        >>> unpack_text("titles", pack_text("titles", ["Ran", "Amélie", ""]))
        ['Ran', 'Amélie', '']
    """
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return {f"{name}.bytes": np.frombuffer(b"".join(encoded), np.uint8), f"{name}.ends": ends}


def unpack_text(name: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The inverse of `pack_text`."""
    joined, ends = arrays[f"{name}.bytes"].tobytes(), arrays[f"{name}.ends"].tolist()
    return [joined[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
