"""What is in a document, taken out: pages as pictures, text, tables, pictures, facts."""
