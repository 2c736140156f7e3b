"""The HTTP side of Ephemera: the API, its composition root and the `ephemera` command."""
