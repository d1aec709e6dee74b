"""Generated files that are one text each: compare them with the code, and write them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from busbar.gateway.routes import export
from tools.contracts import metrics_page, regions, status_notes
from tools.contracts.check import Finding
from tools.contracts.signing import vectors
from tools.contracts.version import VERSION


@dataclass(frozen=True, slots=True)
class Page:
    """A generated file at ``path`` below the checkout.

    ``text`` makes it, given the checkout; ``stale`` describes the file when it is out of date.
    """

    path: Path
    text: Callable[[Path], str]
    stale: str

    def is_current(self, root: Path) -> bool:
        """Return whether the file under ``root`` is what the code generates."""
        target = root / self.path
        return target.is_file() and target.read_bytes() == self.text(root).encode()

    def write(self, root: Path) -> bool:
        """Bring the file under ``root`` up to date; return whether it had to be written."""
        if self.is_current(root):
            return False
        target = root / self.path
        text = self.text(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        return True

    @property
    def finding(self) -> Finding:
        """The finding of the check for a file that is not current."""
        return Finding(path=str(self.path), what=self.stale, fix="Run `make generate`.")


OPENAPI: Final = Page(
    export.PATH, lambda _: export.text(VERSION), "is not what the gateway serves."
)
METRICS: Final = Page(
    metrics_page.PATH, lambda _: metrics_page.text(), "does not list the current metrics."
)
COMPOSE: Final = Page(regions.COMPOSE, regions.compose, "does not run the current services.")
PROMETHEUS: Final = Page(
    regions.PROMETHEUS, regions.prometheus, "does not collect from the current services."
)
PYPROJECT: Final = Page(
    regions.PYPROJECT, regions.pyproject, "does not list the current services as a layer."
)
VECTORS: Final = Page(
    vectors.PATH, lambda _: vectors.text(), "does not have the current vectors of signatures."
)
NOTES: Final = tuple(
    Page(path, partial(status_notes.noted, path=path), "does not say the status of its format.")
    for path in status_notes.NOTES
)
PAGES: Final = (OPENAPI, METRICS, COMPOSE, PROMETHEUS, PYPROJECT, VECTORS, *NOTES)
