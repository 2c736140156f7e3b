"""What several gateways count together: the moments of limits, and who is suspended."""
