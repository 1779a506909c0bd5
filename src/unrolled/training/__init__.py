"""One training loop that knows no task: options, optimizer, checkpoints, resuming, bad numbers.

Nothing is imported here, so that the command line can read ``training.options`` without loading torch.
"""
