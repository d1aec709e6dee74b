"""``busbar status``: readiness and metrics of every process, side by side."""
