"""``busbar replay``: rebuilds the state from the audit log and compares it with the live state.

It has no adapters and no credentials but the gateway's token, so it cannot change anything.
"""
