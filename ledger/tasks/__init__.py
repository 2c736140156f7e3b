"""Tasks that nobody waits for, and the webhooks that tell how they ended."""
