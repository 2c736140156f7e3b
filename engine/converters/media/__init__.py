"""Audio and video, by FFmpeg's libraries (PyAV)."""
