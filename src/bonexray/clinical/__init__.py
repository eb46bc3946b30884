"""What clinical variables predict, alone and beside the image."""
