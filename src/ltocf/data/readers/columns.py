"""Which column is what: given by name, or recognised by its usual name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ltocf.data.readers.options import ReadOptions
from ltocf.data.report import ChosenColumn
from ltocf.spelling import did_you_mean

# Compared without case, `_`, `-`, `.` and blanks; the first that is present is taken.
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        *("userid", "user", "uid", "customerid", "reviewerid", "visitorid", "accountid", "memberid", "clientid"),
        *("buyerid", "playerid", "personid", "profileid", "subscriberid", "listenerid", "readerid", "shopperid"),
        *("customer", "visitor", "buyer", "member", "reviewer", "client", "shopper", "listener", "reader", "account"),
        *("userno", "customerno", "usernumber", "customernumber", "userkey", "customerkey", "steamid", "msno"),
    ),
    "item": (
        *("itemid", "item", "iid", "movieid", "productid", "parentasin", "asin", "bookid", "isbn"),
        *("trackid", "songid", "artistid", "articleid", "businessid", "gameid", "locationid", "animeid", "videoid"),
        *("contentid", "newsid", "recipeid", "venueid", "placeid", "hotelid", "beerid", "goodsid", "listingid"),
        *("sku", "stockcode", "product", "article", "track", "song", "artist", "movie", "film", "book", "game"),
        *("itemno", "productno", "itemnumber", "productnumber", "itemkey", "productkey", "productcode", "ean", "gtin"),
    ),
    "timestamp": (
        *("timestamp", "unixreviewtime", "eventtime", "eventtimestamp", "eventdate", "datetime", "ts", "when"),
        *("createdat", "purchasedat", "orderedat", "viewedat", "clickedat", "playedat", "listenedat", "ratedat"),
        *("orderdate", "purchasedate", "invoicedate", "transactiondate", "orderdatetime", "orderpurchasetimestamp"),
        *("reviewdate", "reviewtime", "ratingdate", "visitdate", "unixtime", "tdat", "date", "time"),
    ),
    "rating": ("rating", "ratings", "stars", "overall", "score", "bookrating", "userrating", "reviewscore", "rate"),
}
USUAL_TITLES = ("title", "name", "itemname", "productname", "itemtitle", "producttitle", "movietitle", "booktitle")
USUAL_TIMES_OF_DAY = ("time", "timeofday", "clock")

REQUIRED = ("user", "item")
_ROLES = (*REQUIRED, "timestamp", "rating", "weight", "title")
_IGNORED = str.maketrans("", "", "_-. \xa0\ufeff")


def plain(column: str) -> str:
    """A column's name in the form in which it is compared with usual names.

    Example:
        >>> plain(" User-ID"), plain("event_time")
        ('userid', 'eventtime')
    """
    return column.lower().translate(_IGNORED)


def choose_columns(available: Iterable[str], name: str, options: ReadOptions) -> dict[str, ChosenColumn]:
    """The column of each role: the requested one, else one with a usual name; see `ReadOptions`.

    Raises:
        ValueError: a requested column is missing, or there is none for users, items, or the ratings that ``min_rating``
            needs.
    """
    available = list(available)
    roles = [role for role in _ROLES if role != "title" or options.items is None]
    chosen: dict[str, ChosenColumn] = {}
    for role in roles:
        option = f"{role}_column"
        column = getattr(options, option)
        if column:
            chosen[role] = ChosenColumn(role, find_column(column, available, f"{name}: `{option}`"), "given")
        elif column is None and (found := usual_column(available, USUAL_NAMES.get(role, ()))) is not None:
            chosen[role] = ChosenColumn(role, *found)
        elif role in REQUIRED or (role == "rating" and options.min_rating is not None):
            reason = "`min_rating` needs one: " if role == "rating" else ""
            wanted = "an item" if role == "item" else f"a {role}"
            raise ValueError(f"{name}: no column is named like {wanted}; {reason}pass `{option}` as one of {available}")
    if chosen["user"].name == chosen["item"].name:
        raise ValueError(f"{name}: users and items must be two columns, got {chosen['user'].name!r} for both")
    return chosen


def usual_column(available: Sequence[str], usual: Sequence[str]) -> tuple[str, str] | None:
    """The column with the first usual name that is present, and why it is taken.

    Example:
        >>> usual_column(["ISBN", "Book"], USUAL_NAMES["item"])
        ('ISBN', "usual name; ignored: 'Book'")
        >>> usual_column(["user_id", "UserID"], USUAL_NAMES["user"])
        ('user_id', "usual name; ignored: 'UserID'")
    """
    found = [column for name in usual for column in available if plain(column) == name]
    if not found:
        return None
    others = f"; ignored: {', '.join(map(repr, found[1:]))}" if len(found) > 1 else ""
    return found[0], f"usual name{others}"


def find_column(column: str, available: Sequence[str], option: str) -> str:
    """The column requested by name; blanks around a header are ignored.

    Raises:
        ValueError: no column has that name.
    """
    if column in available:
        return column
    stripped: Mapping[str, str] = {name.strip(): name for name in reversed(available)}
    if column.strip() not in stripped:
        meant = did_you_mean(column, available, "")
        raise ValueError(
            f"{option} must be one of the columns {list(available)}, got {column!r}{meant and f'; {meant}'}"
        )
    return stripped[column.strip()]
