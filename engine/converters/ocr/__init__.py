"""Text recognition, by tesseract."""
