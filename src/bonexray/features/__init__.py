"""Starting weights of the backbones, and the features that frozen ones extract."""
