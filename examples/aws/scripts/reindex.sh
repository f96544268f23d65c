#!/bin/bash
# Makes the shop's search index anew.
set -euo pipefail
/opt/shop/shop reindex
