"""What ``busbar status`` shows: asked of every process, put side by side."""
