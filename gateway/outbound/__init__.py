"""What the service itself asks of the network: files by URL, and calls of webhooks."""
