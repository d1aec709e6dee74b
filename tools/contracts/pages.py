"""Files that are one text each, made from the code: is it current, write it anew."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.gateway.routes import export
from tools.contracts import metrics_page
from tools.contracts.check import Finding


@dataclass(frozen=True, slots=True)
class Page:
    """A generated file at ``path`` below the checkout; ``stale`` says what it is if it is not."""

    path: Path
    text: Callable[[], str]
    stale: str

    def is_current(self, root: Path) -> bool:
        """Whether the file under ``root`` says what the code does."""
        target = root / self.path
        return target.is_file() and target.read_bytes() == self.text().encode()

    def write(self, root: Path) -> bool:
        """Bring the file under ``root`` up to date; whether it had to be written."""
        if self.is_current(root):
            return False
        target = root / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text(), encoding="utf-8", newline="\n")
        return True

    @property
    def finding(self) -> Finding:
        """What the check says of a file that is not current."""
        return Finding(path=str(self.path), what=self.stale, fix="Run `make generate`.")


OPENAPI: Final = Page(export.PATH, export.text, "is not what the gateway serves.")
METRICS: Final = Page(
    metrics_page.PATH, metrics_page.text, "does not list the metrics that there are."
)
PAGES: Final = (OPENAPI, METRICS)
