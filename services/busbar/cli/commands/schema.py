"""``busbar schema``: the contract tools, mounted."""

from busbar.cli.schema.commands import app

EXAMPLES = ("busbar schema check",)

__all__ = ["EXAMPLES", "app"]
