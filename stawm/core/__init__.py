"""The equations: pure functions and named-tuple states; no parameters, no registry, no input or output.

The ``unroll`` of every rule writes a whole stack E, (b, n, m), and reads the queries Q, (b, k, m), each after as many
writes, from 0 to n, as its number in ``reads`` says. It starts from the state that is given, else from the empty
memory, and returns what each query read, (b, k, m), and the memory after all writes.
"""
