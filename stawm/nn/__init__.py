"""The modules: they own parameters and call the equations of `stawm.core`."""
