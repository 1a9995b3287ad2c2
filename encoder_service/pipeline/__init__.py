"""The pipeline of an image: admission, plan, detection, alignment, quality, embedding."""
