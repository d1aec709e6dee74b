"""Words every part of busbar shares. Imports nothing of ours and does no I/O."""
