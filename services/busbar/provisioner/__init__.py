"""The provisioner: makes allowed intents real, step by step, and takes back what fails."""
