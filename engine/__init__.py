"""File formats, converters, and who waits for a worker."""
