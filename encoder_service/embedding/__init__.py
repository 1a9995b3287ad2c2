"""Face chips to encodings: networks, devices, batches."""
