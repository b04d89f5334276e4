"""The suite's own modules are found here, by the tests as by the command."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
