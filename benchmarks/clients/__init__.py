"""Exported graphs in clients written elsewhere.

``python -m benchmarks.clients.cases FOLDER`` exports graphs, with images and PyTorch's answers to them. Then ``python
benchmarks/clients/client.py NAME FOLDER`` runs a client of Python over them, in an environment that has that client and
neither PyTorch nor stawm, and ``node benchmarks/clients/client.mjs NAME FOLDER`` one of JavaScript. Each prints a line
of JSON a graph, and ``python -m benchmarks.clients.table FILES`` lays the lines out.
"""
