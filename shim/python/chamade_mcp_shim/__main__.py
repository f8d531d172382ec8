"""``python -m chamade_mcp_shim``."""

import sys

from chamade_mcp_shim.cli import main

sys.exit(main())
