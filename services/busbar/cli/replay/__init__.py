"""``busbar replay``: the state once more, from nothing but the audit log, and is it the same?

It has no adapters and no credentials but the gateway's token: replaying never touches the world.
"""
