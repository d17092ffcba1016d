"""Files and folders that are written whole or not at all, reach the disk, and are written by one process at a time."""

from ltocf.files.arrays import checksum_of, read_arrays, save_arrays
from ltocf.files.disk import make_folder, reach_disk, remove_inside, remove_leftovers, rename
from ltocf.files.folders import exchange, making_folder, names_beside, put_back
from ltocf.files.locks import LOCK, locked_folder, locked_name
from ltocf.files.writing import errors_of, making_file, replacing, write_text

__all__ = [
    "LOCK",
    "checksum_of",
    "errors_of",
    "exchange",
    "locked_folder",
    "locked_name",
    "make_folder",
    "making_file",
    "making_folder",
    "names_beside",
    "put_back",
    "reach_disk",
    "read_arrays",
    "remove_inside",
    "remove_leftovers",
    "rename",
    "replacing",
    "save_arrays",
    "write_text",
]
