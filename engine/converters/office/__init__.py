"""Office documents, by LibreOffice inside the worker's own process."""
