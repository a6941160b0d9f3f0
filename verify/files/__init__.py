"""Files of the user's: read within bounds, and written whole or not at all."""
