"""PDF documents, by pikepdf and pdfium."""
