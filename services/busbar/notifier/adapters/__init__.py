"""What the notifier reaches outside: receivers over HTTP, and the secret store."""
