"""The jobs that people have: data, model, loss, metric and decoding of each, one package a task."""

OWN_MODULE = "_unrolled_own_"  # begins the name of a module that is a file of the user's own
