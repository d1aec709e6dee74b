"""``busbar doctor``: the requirements of `busbar up`, checked."""
