"""Options, output, exit codes and the connection to the gateway, shared by the commands."""
