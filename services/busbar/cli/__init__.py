"""The command ``busbar``: over the SDK for people, and what runs the platform itself."""
