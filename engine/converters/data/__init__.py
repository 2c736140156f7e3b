"""Tables and trees: spreadsheets, delimited text, columnar files, databases, JSON and its kin."""
