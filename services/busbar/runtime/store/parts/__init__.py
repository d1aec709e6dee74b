"""The parts of a transaction: streams, tasks, inbox, outbox, documents, dead letters."""
