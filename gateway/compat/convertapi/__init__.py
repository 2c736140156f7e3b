"""The ConvertAPI v2 protocol at the root: its official clients work when their base URL is ours."""
