"""Small worlds with formats of their own: fonts, subtitles, places, calendars and contacts."""
