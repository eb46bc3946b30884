"""What every image goes through before a network sees it."""
