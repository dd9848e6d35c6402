"""Files that training made, anyone's: what is in them, safely, and where they come from."""
