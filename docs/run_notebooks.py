"""Run the notebooks of examples/ in empty folders and keep their outputs: python docs/run_notebooks.py [NAME ...]"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LONGEST_CELL = 120
"""Seconds after which a cell is given up."""


def run(notebook: Path, folder: Path) -> Any:
    """The notebook with the outputs of a run in a folder, without anything that differs between two runs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    node: Any = nbformat.read(notebook, as_version=4)
    # So that neither the history nor the kernels of the caller are touched.
    folders = {name: str(folder / ".jupyter") for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    with patch.dict(os.environ, folders):
        NotebookClient(node, timeout=LONGEST_CELL, resources={"metadata": {"path": str(folder)}}).execute()
    node.metadata = nbformat.from_dict(METADATA)
    for cell in node.cells:
        cell.metadata = nbformat.from_dict({})
    return node


def main() -> None:
    for name in sys.argv[1:] or sorted(path.stem for path in EXAMPLES.glob("*.ipynb")):
        path = EXAMPLES / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(path, Path(folder)), path)


if __name__ == "__main__":
    main()
