"""The provisioner: carries out allowed intents step by step, and undoes what fails."""
