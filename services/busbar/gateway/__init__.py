"""The gateway: accepts intents over HTTP, publishes them, and shows what became of them."""
