"""Running durable tasks under leases."""
