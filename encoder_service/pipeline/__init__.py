"""One image's way: admitted, planned, searched, aligned, assessed, embedded."""
