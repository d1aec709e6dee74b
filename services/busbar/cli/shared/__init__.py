"""What the commands share: options, output, exit codes, connecting to the gateway."""
