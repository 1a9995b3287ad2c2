"""The images, built and run: `make check-images`."""
