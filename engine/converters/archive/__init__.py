"""Archives and compressed files: unpacked within limits, packed again, or listed."""
