"""The library that dlcore.cuda loads; nothing to import here."""
