"""Put the interactive report of every results/reports/*.json into a built site: ``python docs/render_reports.py site``.

Each becomes site/reports/NAME.html, one file that loads nothing. Needs the extra `plots`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from ltocf.report.html import read_report, write_report

REPORTS = Path(__file__).resolve().parents[1] / "results" / "reports"


def render(site: Path, reports: Path = REPORTS) -> list[Path]:
    """Write the pages, and return their paths."""
    folder = site / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        pages = [write_report(read_report(file), Path(temporary)) for file in sorted(reports.glob("*.json"))]
        return [Path(shutil.copy(page, folder)) for page in pages]


if __name__ == "__main__":
    render(Path(sys.argv[1]))
