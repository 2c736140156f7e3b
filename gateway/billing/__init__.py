"""Who takes money for credits, and how we hear of it: providers, their webhooks, their orders."""
