"""Using a graph as the model is used."""
