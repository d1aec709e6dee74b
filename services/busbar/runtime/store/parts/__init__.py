"""The parts of a transaction: streams, tasks, inbox, documents, parked records."""
