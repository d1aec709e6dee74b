"""Adapters of the notifier: the HTTP sender and the secret store."""
