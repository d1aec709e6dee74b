"""``busbar schema``: contracts generated from the message models, and the gate that guards them."""
