"""What cameras and new codecs write: JPEG XL, QOI, JPEG XR and camera raw; and packing tighter."""
