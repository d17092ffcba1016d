"""Write results/supply: known vulnerabilities of the locked packages, their licences, and a bill of materials.

make audit licences sbom
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
RESULTS = ROOT / "results" / "supply"
INSTALLED = ROOT / ".venv" / "bin" / "python"
NO_DATABASE = "none either way: no vulnerability database could be reached"
NONE_KNOWN = "none either way: the database that could be reached has no record of any of these versions"
BIN = Path(sys.executable).parent


def locked(*names: str) -> str:
    """The text of these locks as one requirements file."""
    return "".join((FOLDER / name).read_text("utf-8") for name in names)


def audit() -> dict[str, Any]:
    """Known vulnerabilities of every locked package, and the packages that the database does not know."""
    found: dict[str, Any] = {"tool": f"pip-audit {version('pip-audit')}", "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "all.txt")
        requirements.write_text(locked("test.txt", "torch.txt"), encoding="utf-8")
        command = [
            BIN / "pip-audit",
            "-r",
            requirements,
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = re.sub(r"https?://\S+", "(address)", lines[-1] if lines else "no output")
        return found | {"packages": 0, "known_to_the_database": 0, "finding": NO_DATABASE, "reason": reason}
    known = [package for package in packages if "vulns" in package]
    vulnerable = [
        {"name": package["name"], "version": package["version"], "id": flaw["id"], "fixed_in": flaw["fix_versions"]}
        for package in known
        for flaw in package["vulns"]
    ]
    finding = f"{len(vulnerable)} known vulnerabilities" if known else NONE_KNOWN
    unknown = sorted(package["name"] for package in packages if "vulns" not in package) if known else "all"
    return found | {
        "packages": len(packages),
        "known_to_the_database": len(known),
        "unknown_to_the_database": unknown,
        "vulnerable": vulnerable,
        "finding": finding,
    }


def licences() -> list[dict[str, Any]]:
    """The licence of every package of the environment of `make test`; `runs` says whether `make demo` has it too."""
    command = [BIN / "pip-licenses", f"--python={INSTALLED}", "--format=json", "--from=mixed", "--with-system"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    listed = {_plain(package["Name"]): package for package in json.loads(done.stdout)}
    runs, tests = (
        set(re.findall(r"^([a-z0-9-]+)==", locked(name, "torch-cpu.txt"), re.MULTILINE))
        for name in ("serve.txt", "test.txt")
    )
    return [
        {"name": name, "version": package["Version"], "licence": package["License"], "runs": name in runs}
        for name, package in sorted(listed.items())
        if name in tests
    ]


def sbom() -> dict[str, Any]:
    """The CycloneDX bill of what `make demo` installs, without the time when it was made."""
    command = [BIN / "cyclonedx-py", "requirements", "-", "--pyproject", ROOT / "pyproject.toml", "--short-PURLs"]
    command += ["--output-reproducible", "--of", "JSON"]
    requirements = locked("serve.txt", "torch.txt")
    done = subprocess.run(command, input=requirements, stdout=subprocess.PIPE, text=True, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    for component in bill["components"]:
        component.pop("description", None)  # its line of the lock
        for reference in component.get("externalReferences", ()):
            if reference["type"] == "distribution":  # its hashes identify it, whichever index it is from
                reference["url"] = component["purl"]
    for tool in bill["metadata"]["tools"]["components"]:
        tool.pop("externalReferences", None)
    return bill


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


KINDS: dict[str, Callable[[], Any]] = {"audit": audit, "licences": licences, "sbom": sbom}


def main() -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    for kind in sys.argv[1:]:
        text = json.dumps(KINDS[kind](), indent=1, ensure_ascii=False)
        (RESULTS / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
