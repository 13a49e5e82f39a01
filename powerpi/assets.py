"""The files that the browser gets, held in memory: a small fixed set read once at start; nothing else is ever served.

In: the folder `www` (found by path, because an editable install does not map it into the package).
Out: Asset values by name, and the page's template as text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


class Asset(NamedTuple):
    """One file as it is served."""

    content: bytes
    content_type: str
    version: str  # changes with the content: the ETag, and the `v` of its address


def www_folder(package: Path = Path(__file__).parent) -> Path:
    """The folder `www`: inside the installed package, else beside it in a checkout."""
    inside = package / "www"
    return inside if inside.is_dir() else package.parent / "www"


def load_assets(folder: Path) -> Mapping[str, Asset]:
    """Every file of `folder` by name; a file of a type that is not served raises KeyError: it does not belong there."""
    return {path.name: _asset(path) for path in sorted(folder.iterdir())}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, CONTENT_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
