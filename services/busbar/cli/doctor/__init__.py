"""``busbar doctor``: what `busbar up` needs, and whether it is here."""
