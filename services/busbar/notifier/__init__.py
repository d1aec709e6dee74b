"""The notifier: delivers facts to subscribers, signed and retried, never lost."""
