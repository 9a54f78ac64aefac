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

"""Our driver, and all of it that an attack can reach."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from cinder import exception as cinder_exception
from cinder.volume import throttling
from cinder.volume import volume_utils
import fixtures
from oslo_concurrency import processutils

from tests.attacks import attack as attacks
from tests.attacks import checks
from tests.attacks import content
from tests.attacks import glance
from tests.attacks import play
from tests.attacks import stage as stages
from tests.fixtures import cinder_remotefs
from tests.fixtures import driver as drivers
from tests.fixtures import encrypted
from volume_driver import driver as volume_drivers
from volume_driver import exception
from volume_driver import files
from volume_driver import names
from volume_driver.checking import facts as seen
from volume_driver.cinder import connections
from volume_driver.cinder import images
from volume_driver.cinder import manageable
from volume_driver.cinder import records
from volume_driver.cinder import throttle
from volume_driver.images import secrets
from volume_driver.operations import adopt
from volume_driver.operations import containers
from volume_driver.operations import copies
from volume_driver.operations import seal
from volume_driver.operations import take_over

# Cinder's own functions fetch an image, and these are what its manager knows
# of them.
TYPED = (
    exception.VolumeDriverError,
    cinder_exception.CinderException,
    processutils.ProcessExecutionError,
)

# After these all files are as before.
UNCHANGED = (exception.Refused,)

_IN_CHAIN = frozenset({stages.GUEST, stages.BASE, stages.ACTIVE})
_AS_BASE = frozenset({stages.GUEST, stages.BASE})
_UPLOADED = frozenset({stages.UPLOAD})
_BYTES = frozenset({stages.BYTES})
_FILE = 'disk'
_EXPORT = names.export(stages.VOLUME, 'volume')


class Ours(fixtures.Fixture):
    """Our driver, on a directory where attacks take place.

    :param directory: where the volumes are
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def _setUp(self) -> None:
        # Our adapter takes its images from Cinder's functions.
        self.useFixture(cinder_remotefs.CinderRemoteFS('raw'))
        # Cinder's manager does it when the driver is set up.
        self.addCleanup(throttling.Throttle.set_default, None)
        throttle.install()
        # That one asks Cinder's database, which knows no volume here.
        self.useFixture(
            fixtures.MockPatchObject(
                volume_utils,
                'check_already_managed_volume',
                autospec=True,
                return_value=False,
            )
        )
        self.keys = encrypted.Keys()
        self._drivers = {
            each: self.useFixture(
                drivers.DriverFixture(
                    self.directory, self.keys, volume_format=each
                )
            ).driver
            for each in ('raw', 'qcow2')
        }

    def entries(self) -> list[play.Entry]:
        """Return all that can be called."""
        taken = stages.Shape(snapshot=True)
        unknown = stages.Shape(recorded=False)
        sealed = self._sealed()
        entry = play.Entry
        image, backup = (stages.Shape(file=each) for each in (_FILE, _EXPORT))
        return [
            entry('create snapshot', self._create_snapshot, _IN_CHAIN),
            entry('delete snapshot', self._delete_snapshot, _IN_CHAIN, taken),
            entry('delete volume', self._delete_volume, _AS_BASE),
            entry('clone', self._clone, _IN_CHAIN),
            entry('volume from snapshot', self._copy, _IN_CHAIN, taken),
            entry('revert', self._revert, _IN_CHAIN, taken),
            entry('extend', self._extend, _IN_CHAIN),
            entry('attach', self._attach, _IN_CHAIN),
            entry('copy image out', self._copy_out, _IN_CHAIN),
            entry('copy image in', self._copy_in, _BYTES),
            entry(
                *('copy image in as raw', self._copy_in_raw, _BYTES),
                # Cinder compares that with what it finds.
                kinds=(attacks.FORMAT,),
            ),
            entry(
                *('copy encrypted image in', self._copy_in_encrypted, _BYTES),
                shape=dataclasses.replace(sealed, file=_FILE),
            ),
            entry('restore backup', self._restore, _UPLOADED, backup),
            entry(
                *('restore encrypted backup', self._restore_encrypted),
                *(_UPLOADED,),
                shape=dataclasses.replace(sealed, file=_EXPORT),
            ),
            entry('manage', self._manage, _UPLOADED, image),
            entry(
                *('manage with snapshots', self._manage_chain, _IN_CHAIN),
                dataclasses.replace(unknown, snapshot=True),
            ),
            entry('adopt', self._adopt, _AS_BASE, unknown),
            entry('take over', self._take_over, _IN_CHAIN, unknown),
            entry('check', self._check, _IN_CHAIN),
        ]

    def _sealed(self) -> stages.Shape:
        """Make an encrypted volume, once; return how to set it up again."""
        made = encrypted.EncryptedVolume.create(
            self.useFixture(drivers.DriverFixture(passphrase=self.keys))
        )
        self.keys.known[stages.RECORD.id] = made.model.passphrase
        path = made.made.path(made.record.name)
        return stages.Shape(base=path.read_bytes())

    def driver(self, stage: stages.Stage) -> volume_drivers.Qcow2Driver:
        return self._drivers[stage.base_format]

    # -- in the chain of a volume --------------------------------------------

    def _create_snapshot(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        below = stage.active
        taken = drivers.snapshot(stages.RECORD)
        self.driver(stage).create_snapshot(taken)
        overlay = stage.path(f'{stages.VOLUME}.{taken.id}')
        return lambda before: checks.overlay(stage, before, overlay, below)

    def _delete_snapshot(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        self.driver(stage).delete_snapshot(stages.SNAPSHOT)
        path = pathlib.Path(self.driver(stage).local_path(stages.RECORD))
        image = (path, 'qcow2' if '.' in path.name else stage.base_format)
        return lambda before: content.same(before.overlay, image)

    def _delete_volume(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        self.driver(stage).delete_volume(stages.RECORD)

        def check(before: stages.Stage) -> str:
            own = (stages.VOLUME, f'{stages.VOLUME}.record')
            left = [
                each for each in own if files.is_file(str(stage.path(each)))
            ]
            return f'left: {left}' if left else ''

        return check

    def _clone(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        new = drivers.volume()
        self.driver(stage).create_cloned_volume(new, stages.RECORD)
        made = (stage.path(new.name), stage.base_format)
        return lambda before: content.same(before.active, made)

    def _copy(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        new = drivers.volume()
        driver = self.driver(stage)
        driver.create_volume_from_snapshot(new, stages.SNAPSHOT)
        made = (stage.path(new.name), stage.base_format)
        return lambda before: content.same(before.base, made)

    def _revert(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        self.driver(stage).revert_to_snapshot(
            None, stages.RECORD, stages.SNAPSHOT
        )
        return lambda before: checks.is_as_before(stage, before, stages.VOLUME)

    def _extend(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        driver = self.driver(stage)
        driver.extend_volume(stages.RECORD, 2)

        def check(before: stages.Stage) -> str:
            size = driver.describe(stages.RECORD).layers[-1].image.size
            return '' if size == 2 * stages.GIB else f'it has {size} bytes'

        return check

    def _attach(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        found = self.driver(stage).initialize_connection(stages.RECORD, {})
        data = typing.cast(dict[str, str], found['data'])
        path, named = stage.active
        active = records.images(self.driver(stage), stages.RECORD).active
        connections.check_size(glance.volume(), active, str(path))
        where = (pathlib.Path(data['device_path']), data['format'])
        return lambda before: '' if where == (path, named) else f'{where}'

    def _copy_out(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        path = out / 'image'
        service = glance.ImageService('raw', out=str(path))
        images.upload(
            *(
                self.driver(stage),
                glance.REQUEST,
                glance.volume(),
                service,
                service.meta,
            )
        )
        return lambda before: content.same(before.active, (path, 'raw'))

    def _adopt(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        driver = self.driver(stage)
        target = driver.target(stages.RECORD)
        adopt.remember_format(driver.context, target, None, stages.GIB)
        return lambda before: checks.recorded(stage, before)

    def _take_over(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        known = {stages.VOLUME: seen.Known(1)}
        (outcome, *_) = self.driver(stage).take_over(
            stages.RECORD, True, (), known
        )
        if outcome.outcome == take_over.REFUSED:
            raise exception.ImageNotTrusted(
                path=stages.VOLUME, reason=outcome.text
            )
        return lambda before: checks.recorded(stage, before)

    def _check(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        self.driver(stage).check(stages.RECORD, deep=True)
        return lambda before: checks.is_as_before(stage, before)

    # -- from outside --------------------------------------------------------

    def _copy_in(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        return self._fetch(stage, out, stage.attack.claims)

    def _copy_in_raw(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        return self._fetch(stage, out, 'raw')

    def _fetch(
        self, stage: stages.Stage, out: pathlib.Path, disk_format: str
    ) -> play.Check:
        """Let the volume hold an image, as whoever made it says it is."""
        given = stage.bytes()
        service = glance.ImageService(disk_format, given)
        images.fetch(
            *(self.driver(stage), glance.REQUEST, glance.volume()),
            *((service, str(service.meta['id'])), '1M'),
        )

        def check(before: stages.Stage) -> str:
            path = out / 'given'
            path.write_bytes(given)
            named = glance.qemu_format(disk_format)
            return checks.begins_as((path, named), stage.base)

        return check

    def _copy_in_encrypted(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        driver = self.driver(stage)
        opened = secrets.Key(self.keys.known[stages.RECORD.id])
        path = stage.path(_FILE)
        target = driver.target(stages.RECORD)
        seal.write_over(driver.context, target, str(path), opened)
        return lambda before: 'nothing opens it'

    def _restore(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        driver = self.driver(stage)
        path = stage.path(_EXPORT)
        target = driver.target(stages.RECORD)
        copies.write_over(driver.context, target, str(path), 'raw')
        return lambda before: checks.begins_as(
            (before.path(_EXPORT), 'raw'), (stage.path(stages.VOLUME), 'raw')
        )

    def _restore_encrypted(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        driver = self.driver(stage)
        path = stage.path(_EXPORT)
        target = driver.target(stages.RECORD)
        with files.typed(str(path)):
            containers.write_over(
                driver.context, target, str(path), stages.GIB
            )
        return lambda before: 'nothing opens it'

    def _manage(self, stage: stages.Stage, out: pathlib.Path) -> play.Check:
        driver = self.driver(stage)
        new = drivers.volume()
        adopt.look(driver.context, _FILE)
        image = adopt.take(driver.context, driver.target(new), _FILE)

        def check(before: stages.Stage) -> str:
            found = content.prints(stage.directory)[new.name]
            if found != content.prints(before.directory)[_FILE]:
                return 'it was changed'
            right = checks.by_magic(stage.path(new.name))
            return '' if image.format == right else f'taken as {image.format}'

        return check

    def _manage_chain(
        self, stage: stages.Stage, out: pathlib.Path
    ) -> play.Check:
        """Look at it; its files stay as they are, whatever it is then."""
        reference = {'source-name': f'share/{stages.VOLUME}'}
        size = manageable.look(self.driver(stage), reference, stages.VOLUME)

        def check(before: stages.Stage) -> str:
            if size != 1:
                return f'it has {size} GiB'
            return checks.is_as_before(stage, before)

        return check
