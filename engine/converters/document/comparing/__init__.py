"""Two Word documents into one that shows what became of the first: tracked changes."""
