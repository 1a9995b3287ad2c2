"""`facerec import` and `export`, and photos to enroll."""
