#!/bin/sh
# Make sure that Debian's Chromium is here, for the browser tests. Needs root or sudo if it is not.
set -eu
if command -v chromium >/dev/null; then
    exit 0
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
fi
$sudo apt-get update -qq
# A font, for a page without letters has nothing to click
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
