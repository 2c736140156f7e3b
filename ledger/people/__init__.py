"""People: who signs in, how they show who they are, and whose accounts they are members of."""
