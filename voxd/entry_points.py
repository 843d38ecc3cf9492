"""Entry points of installed packages, read straight from their metadata files."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# Ours in the Python package index, where "voxd" belongs to another project.
DISTRIBUTION = "voxd-appliance"


def find_entry_points(group: str) -> dict[str, str]:
    """Return ``module:attribute`` by name for ``group``: of voxd first, then in the order of `sys.path`."""
    # Not by `importlib.metadata`, which costs 2.6 MB because it reads metadata with the mail parser. A device
    # looks for skills at every start, so it would pay for that even with nothing installed beside voxd.
    found: dict[str, str] = {}
    others: dict[str, str] = {}
    seen: set[str] = set()
    for directory in sys.path:
        for file in sorted(Path(directory or ".").glob("*.dist-info/entry_points.txt")):
            # "voxd_appliance-1.0.dist-info": the binary distribution format, section "File name convention".
            distribution = file.parent.name.partition("-")[0].replace("_", "-")
            if distribution in seen:
                continue  # hidden by a directory that comes earlier, as in an import
            seen.add(distribution)
            # No other distribution can take a name of ours.
            target = found if distribution == DISTRIBUTION else others
            for name, reference in _parse(file, group).items():
                target.setdefault(name, reference)
    return {**found, **{name: reference for name, reference in others.items() if name not in found}}


def load_entry_point(reference: str) -> Any:
    """Return what ``module:attribute`` names; raises whatever importing the module raises."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def _parse(file: Path, group: str) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    section = ""
    references: dict[str, str] = {}
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, reference = line.partition("=")
            # Extras may follow in brackets: "name = module:attribute [extra]"; they are deprecated and
            # ignored.
            references[name.strip()] = reference.partition("[")[0].strip()
    return references
