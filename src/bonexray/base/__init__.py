"""What every stage is built on: typed settings, errors with one clear line, atomic files and hashes."""
