#!/bin/bash
# Installs the shop on a new instance: the program from the artifacts, a folder for its logs. Runs once, as root; the
# user and group "shop" are there already.
set -euo pipefail
install -d -o shop -g shop -m 750 /opt/shop /var/log/shop
aws s3 cp "$WATCHBELL_ARTIFACTS/shop" /opt/shop/shop
chmod 755 /opt/shop/shop
