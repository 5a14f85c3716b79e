"""Camera models and poses, from the EEPROM and from files."""
