"""Camera models and poses, from the EEPROM or from files."""
