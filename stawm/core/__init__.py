"""The equations: pure functions and named-tuple states; no parameters, no registry, no input or output.

The ``unroll`` of every rule writes a whole stack E, (b, n, m), and reads the queries Q, (b, k, m), each after as many
writes, from 0 to n, as its number in ``reads`` says. It starts from the state that is given, else from the empty
memory, and returns what each query read, (b, k, m), and the memory after all writes.

Of a rule whose read is a sum over its writes, ``contributions`` gives the terms of that sum for one query q after the
whole stack, (b, n, m). A write's term is what q reads in a memory into which this write alone stores something, while
every later one does to it what it did: lets it fade, or takes away what stands under its key. What a write stores is
taken as it was, so that what earlier ones did to it, as in a response that depends on the memory, is in its own term.
"""
