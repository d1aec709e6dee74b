"""The service identity: see README.md."""
