"""A page on which a model looks, remembers, draws and answers: a folder of static files, and a server to try it.

The page itself is built from the sources in ``web/`` of the repository and comes with the package (``page/``), as does
ONNX Runtime for browsers (``runtime/``), packed. So writing a site needs no network and no other tool.
"""

from stawm.web.site import Site as Site
from stawm.web.site import write_site as write_site

__all__ = ["Site", "write_site"]
