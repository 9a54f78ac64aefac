#!/bin/sh
# Install libvirt-python at the version of the libvirt that is installed.
#
# Runs inside of a tox environment. A newer binding than library does not
# compile, so no constraints file can name the version.
set -eu

version=$(pkg-config --modversion libvirt)
exec python -m pip install --quiet "libvirt-python==$version"
