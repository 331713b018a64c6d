"""The extension's parts: magics, configuration, completion, progress bars.

Magics parse, call the public interface and display. ``ipython_ext.py`` registers all of it.
"""
