"""The gateway: lets HTTP in, publishes intents, and shows what became of them."""
