"""Starting weights of the backbones, and the extraction of features by frozen backbones."""
