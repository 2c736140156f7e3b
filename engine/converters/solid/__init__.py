"""Things with a shape: 3D meshes into each other, and technical drawings onto a page."""
