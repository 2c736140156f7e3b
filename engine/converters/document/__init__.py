"""Documents and mail among each other by pandoc, and onto pages by typst."""
