"""Maintains subscriptions, and delivers each matching fact as a durable task."""

from busbar.notifier.handlers.deliveries import PAGE_SIZE, WEBHOOK
from busbar.notifier.handlers.notifier import Notifier, Secrets, Sender

__all__ = ["PAGE_SIZE", "WEBHOOK", "Notifier", "Secrets", "Sender"]
