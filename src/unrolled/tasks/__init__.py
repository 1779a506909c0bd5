"""The jobs that people have: data, model, loss, metric and decoding of each, one package a task."""
