"""The names of the resource that the scenarios are about, and of those who act on it."""

SOURCE = "urn:team:payments"
THING = {"team": "payments", "environment": "dev", "promise": "thing", "name": "orders"}
RESOURCE = "/".join(THING.values())
STRANGER = "another owner"
