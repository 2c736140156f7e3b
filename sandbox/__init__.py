"""Linux confinement: `host` is trusted, `jail` is not."""
