"""From a plan to the text of a kernel: pure functions, no side effects."""
