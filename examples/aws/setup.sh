#!/bin/bash
# Installs the shop on a new instance: nginx in front, the program from the artifacts. Runs once, as root.
set -euo pipefail
dnf install --assumeyes nginx
install -d -o shop -g shop -m 750 /opt/shop
aws s3 cp "$WATCHBELL_ARTIFACTS/shop" /opt/shop/shop
chmod 755 /opt/shop/shop
systemctl enable --now nginx
