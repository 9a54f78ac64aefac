#!/bin/bash
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# plugin.sh - DevStack plugin: volumes that are files, on NFS or here.
#
# Enable with a backend "qcow2:NAME" in CINDER_ENABLED_BACKENDS.

# Dependencies:
#
# - ``functions`` file
# - ``lib/cinder``, which calls the functions with ``cinder_backend`` in their
#   names for each backend of type ``qcow2``
# - devstack/settings: ``QCOW2_*``

# Save trace setting
_XTRACE_QCOW2=$(set +o | grep xtrace)
set +o xtrace

# qcow2_group - Print the group of the processes of QEMU
function qcow2_group {
    if is_ubuntu; then
        echo kvm
    else
        echo qemu
    fi
}

# qcow2_nfs_service - Print the name of the NFS server's service
function qcow2_nfs_service {
    if is_ubuntu; then
        echo nfs-kernel-server
    else
        echo nfs-server
    fi
}

# install_qcow2_packages - Install what does not come with pip
function install_qcow2_packages {
    if is_ubuntu; then
        install_package qemu-utils
    else
        install_package qemu-img
    fi
    if [[ "$QCOW2_SHARE_TYPE" != "nfs" ]]; then
        return
    fi
    if is_ubuntu; then
        install_package nfs-common nfs-kernel-server
    else
        install_package nfs-utils
    fi
}

# install_qcow2 - Install the driver beside Cinder
function install_qcow2 {
    # The binding has to be as old as the library: it comes with the system.
    install_package python3-libvirt
    setup_develop "${GITDIR["volume-driver"]}"
}

# make_qcow2_directory - Make a directory in which Cinder's files are QEMU's
#
# Cinder writes as $STACK_USER and is never root there. A new file gets the
# group of the directory, and that is QEMU's.
function make_qcow2_directory {
    local group
    group=$(qcow2_group)
    getent group "$group" >/dev/null || sudo groupadd --system "$group"
    add_user_to_group "$STACK_USER" "$group"
    sudo install -d -o "$STACK_USER" -g "$group" -m 2770 "$QCOW2_DIR"
}

# export_qcow2_directory - Export the directory to this host
#
# root is squashed, so that libvirtd does not give the files away.
function export_qcow2_directory {
    sudo mkdir -p "$(dirname "$QCOW2_EXPORTS")"
    echo "$QCOW2_DIR localhost(rw,sync,root_squash,no_subtree_check)" |
        sudo tee "$QCOW2_EXPORTS" >/dev/null
    restart_service "$(qcow2_nfs_service)"
    sudo exportfs -r
}

# configure_cinder_backend_qcow2 - Set config files, create data dirs, etc
# configure_cinder_backend_qcow2 $name
function configure_cinder_backend_qcow2 {
    local be_name=$1
    iniset "$CINDER_CONF" "$be_name" volume_backend_name "$be_name"
    iniset "$CINDER_CONF" "$be_name" volume_driver \
        volume_driver.cinder.driver.Qcow2Driver
    iniset "$CINDER_CONF" "$be_name" volume_format "$QCOW2_VOLUME_FORMAT"
    iniset "$CINDER_CONF" "$be_name" share_type "$QCOW2_SHARE_TYPE"
    if [[ "$QCOW2_SHARE_TYPE" == "nfs" ]]; then
        iniset "$CINDER_CONF" "$be_name" nas_host localhost
        iniset "$CINDER_CONF" "$be_name" nas_share_path "$QCOW2_DIR"
    else
        iniset "$CINDER_CONF" "$be_name" volume_files_dir "$QCOW2_DIR"
    fi
}

# init_cinder_backend_qcow2 - Make what the backend needs at its start
# init_cinder_backend_qcow2 $name
function init_cinder_backend_qcow2 {
    make_qcow2_directory
    if [[ "$QCOW2_SHARE_TYPE" == "nfs" ]]; then
        export_qcow2_directory
    else
        mount_qcow2_for_nova
    fi
}

# mount_qcow2_for_nova - Put the directory where Nova looks for a share
function mount_qcow2_for_nova {
    local base digest
    base=$(iniget "$NOVA_CONF" libvirt nfs_mount_point_base)
    base=${base:-${NOVA_STATE_PATH:-$DATA_DIR/nova}/mnt}
    digest=$(printf 'localhost:%s' "$QCOW2_DIR" | md5sum | cut -d ' ' -f 1)
    sudo install -d -o "$STACK_USER" "$base" "$base/$digest"
    mountpoint -q "$base/$digest" ||
        sudo mount --bind "$QCOW2_DIR" "$base/$digest"
}

# cleanup_cinder_backend_qcow2 - Remove the volumes; clean.sh calls it
# cleanup_cinder_backend_qcow2 $name
function cleanup_cinder_backend_qcow2 {
    sudo rm -rf "${QCOW2_DIR:?}"
}

# unmount_qcow2 - Unmount the volumes wherever they are mounted
function unmount_qcow2 {
    local target targets
    targets=$(findmnt -rn -o TARGET,SOURCE |
        awk -v dir="$QCOW2_DIR" 'index($2, dir) { print $1 }')
    for target in $targets; do
        sudo umount -l "$target"
    done
    if [[ -e "$QCOW2_EXPORTS" ]]; then
        sudo rm -f "$QCOW2_EXPORTS"
        sudo exportfs -r
    fi
}

if is_service_enabled c-vol; then
    if [[ "$1" == "stack" && "$2" == "pre-install" ]]; then
        echo_summary "Installing what qcow2 volumes need"
        install_qcow2_packages
    elif [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing the qcow2 volume driver"
        install_qcow2
    elif [[ "$1" == "unstack" ]]; then
        unmount_qcow2
    fi
fi

# Restore xtrace
$_XTRACE_QCOW2

# Tell emacs to use shell-script-mode
## Local variables:
## mode: shell-script
## End:
