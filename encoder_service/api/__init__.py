"""The contract's EncoderService: checks requests, builds responses."""
