"""What was bought, from whom and for how much, and what came back; credits move with it or not."""
