"""The `ephemera` command, one module for each of its subjects."""
