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

"""The methods that move a volume: to another share, backend or type."""

from __future__ import annotations

import typing

from cinder.volume import rpcapi
from cinder.volume import volume_utils

from volume_driver import exception
from volume_driver.cinder import errors
from volume_driver.cinder import exports
from volume_driver.cinder import keys
from volume_driver.cinder import started
from volume_driver.operations import adopt

# What backends call a filesystem on which volumes are files that a server
# reads as qcow2; on a device it would read the bytes as they are.
_FILES = frozenset({'nfs', 'file'})

Update = dict[str, typing.Any] | None
Any = typing.Any


class MigrateMixin(started.Started):
    """Migrate and retype."""

    @errors.translated()
    def migrate_volume(
        self, context: Any, volume: Any, host: dict[str, Any]
    ) -> tuple[bool, Update]:
        """Move a volume to another share of this backend, by a rename.

        Where that is not possible Cinder copies the volume's bytes.
        """
        pool = volume_utils.extract_host(host['host'], level='pool')
        here = volume_utils.extract_host(volume.host)
        if here != volume_utils.extract_host(host['host']) or (
            pool not in self.backend.shares.all
        ):
            return False, None
        if pool == volume.provider_location:
            # From the pool of a driver that had one for all shares.
            return True, None
        core, place = self.backend.of(volume), self.backend.on(pool)
        target = core.target(volume)
        if not adopt.move(core.context, target, place.context, target.name):
            return False, None
        return True, {'provider_location': pool}

    @errors.translated()
    def before_volume_copy(
        self, context: Any, src_vol: Any, dest_vol: Any, remote: Any = None
    ) -> None:
        """Make the bytes of a volume ready that is about to be copied."""
        core = self.backend.of(src_vol)
        keys.check_types(context.elevated(), src_vol, dest_vol)
        if src_vol.encryption_key_id is not None:
            _check_files(context, src_vol, dest_vol)
        exports.prepare(core, src_vol)

    @errors.translated()
    def update_migrated_volume(
        self,
        context: Any,
        volume: Any,
        new_volume: Any,
        original_volume_status: str,
    ) -> dict[str, Any]:
        """Give a migrated volume's file its old name, where that is safe.

        A guest that runs on it, or a file of the old name on the same share,
        leaves the name as it is.
        """
        address = self.backend.address(new_volume)
        renamed = False
        if (
            original_volume_status == 'available'
            and volume.provider_location != address
        ):
            core = self.backend.of(new_volume)
            renamed = adopt.move(
                core.context,
                core.target(new_volume),
                core.context,
                core.target(volume).name,
            )
        return {
            '_name_id': None if renamed else new_volume.name_id,
            'provider_location': address,
        }

    def retype(
        self,
        context: Any,
        volume: Any,
        new_type: Any,
        diff: Any,
        host: dict[str, Any],
    ) -> tuple[bool, Update]:
        """Take any new type that leaves a volume where it is."""
        return bool(host['host'] == volume.host), None


def _check_files(context: Any, src_vol: Any, dest_vol: Any) -> None:
    """Check that an encrypted volume goes where volumes are files, too.

    :raises EncryptionUnsupported: when it does not
    """
    capabilities = rpcapi.VolumeAPI().get_capabilities(
        context, dest_vol.service_topic_queue, False
    )
    protocol = (capabilities or {}).get('storage_protocol') or 'unknown'
    known = {protocol} if isinstance(protocol, str) else set(protocol)
    if not {each.lower() for each in known} & _FILES:
        raise exception.EncryptionUnsupported(
            volume=src_vol.name,
            operation=f'a migration to a backend of protocol {protocol}',
            reason='its bytes are a qcow2 image with LUKS inside, which a '
            'server can read from a file alone',
        )
