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

"""Every error that this driver raises on purpose.

A message says what was found, what was expected and what to do next; the
facts stay readable as attributes. An error that leaves the volume's files as
they were before the call derives from :class:`Refused`.
"""


class VolumeDriverError(Exception):
    """Base of all our errors; the keyword arguments are the facts."""

    template = 'The volume driver failed: {reason}.'

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(facts)

    def __getattr__(self, name: str) -> object:
        try:
            return self.__dict__['facts'][name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.facts))

    def __str__(self) -> str:
        return self.template.format_map(self.facts)


def _rebuild(
    cls: type[VolumeDriverError], facts: dict[str, object]
) -> VolumeDriverError:
    return cls(**facts)


class Refused(VolumeDriverError):
    """Decided before anything was changed: all files are as they were."""


# -- what the operator set up ------------------------------------------------


class ConfigurationInvalid(Refused):
    template = (
        'Option {option} is {found!r}, expected {expected}. Correct it in '
        'the configuration and start again.'
    )


class DirectoryUnusable(Refused):
    template = (
        'The directory {path} cannot be used: {reason}. It must exist and '
        'be writable by this service; see option volume_files_dir.'
    )


class ShareNotMounted(Refused):
    template = (
        'The share {share} is not mounted: {reason}. Nothing was done; mend '
        'what it says and try again.'
    )


class ProgramMissing(Refused):
    template = (
        'The program {program} was not found. Install it (on Debian: '
        'apt-get install {package}) and try again.'
    )


class PluginMissing(Refused):
    template = (
        'The hypervisor plugin {name!r} cannot be loaded: {reason}. '
        'Correct option hypervisor or install what the plugin needs.'
    )


class LibraryMissing(Refused):
    template = (
        'Option {option} needs the Python package {package}, which cannot be '
        'imported: {reason}. Install it (pip install {package}), or do not '
        'set the option.'
    )


# -- names and records -------------------------------------------------------


class InvalidName(Refused):
    template = (
        'The {kind} {name!r} cannot be part of a file name; expected '
        '{expected}. Nothing was done.'
    )


class VolumeNotFound(Refused):
    template = (
        'Volume {volume} has no file in {directory}. Check the id and '
        'option volume_files_dir.'
    )


class SnapshotNotFound(Refused):
    template = (
        'Snapshot {snapshot} is not among the snapshots of {volume} '
        '(known: {known}). Check the id.'
    )


class NameCollision(Refused):
    template = (
        'The file {path} is already there, though nothing refers to it. '
        'Look at what it is, move it away, and try again.'
    )


class VolumeExists(NameCollision):
    template = (
        'The volume {path} is there already; nothing was changed. Ask for '
        'another id, or delete it first.'
    )


class InvalidSize(Refused):
    template = (
        'A size of {wanted} bytes was asked for {volume}, expected at least '
        '{minimum} bytes. Ask for a larger size.'
    )


# -- what is on disk ---------------------------------------------------------


class InfoCorrupt(Refused):
    template = (
        'The snapshot file {path} cannot be trusted: {reason}. Nothing was '
        'changed; restore it from a backup or write it anew from the chain '
        'of images.'
    )


class RecordCorrupt(Refused):
    template = (
        'The record {path} cannot be trusted: {reason}. Nothing was '
        'changed; restore it, or write it anew with the right format.'
    )


class ImageInvalid(Refused):
    template = (
        'The image {path} cannot be read as {format}: {reason}. Nothing was '
        'changed; inspect it with "qemu-img check".'
    )


class ImageNotTrusted(Refused):
    template = (
        'The image {path} is refused: {reason}. An image of a volume may '
        "only refer to files of the same volume; restore the volume's own "
        'image.'
    )


class ChainMismatch(Refused):
    template = (
        'The chain of {volume} and its .info disagree: found {found}, '
        'expected {expected}. Nothing was changed; compare the backing '
        'names (qemu-img info) with the .info file and mend the wrong one.'
    )


class EncryptionMixed(Refused):
    template = (
        'The chain of {volume} is encrypted in part: {encrypted} is, {plain} '
        'is not. Nothing was changed; all images of a volume have to be one '
        'or the other, so find out which driver made the odd one.'
    )


class EncryptionUnsupported(Refused):
    template = (
        'The encrypted volume {volume} does not allow {operation}: {reason}. '
        'Nothing was changed; only a volume that is not encrypted can do that.'
    )


class ContainerTooLarge(Refused):
    template = (
        'The encrypted volume {volume} takes {length} bytes as a file, and '
        'only the first {limit} of them would be copied: what encrypts it '
        'needs room, too. Nothing was changed; extend the volume by 1 GiB, '
        'and try again.'
    )


class BackupUnsuitable(Refused):
    template = (
        'The backup {backup} is not restored to {volume}: {reason}. Nothing '
        'was changed; restore it to a volume of the type that it was made '
        'of, without snapshots.'
    )


class PassphraseMissing(Refused):
    template = (
        '{volume} is encrypted, and its passphrase is not known: {reason}. '
        'Nothing was changed; let the key manager have the key of the volume, '
        'and try again.'
    )


class PassphraseWrong(Refused):
    template = (
        'The passphrase of {volume} does not open its image {path}. Nothing '
        'was changed; find out which key the image was made with.'
    )


class StillReferenced(Refused):
    template = (
        'The image {path} is not removed: {referrer} names it as its '
        'backing image. Find out why before removing anything.'
    )


class ChainTooDeep(Refused):
    template = (
        '{volume} has {depth} images, option max_chain_depth allows '
        '{limit}. Delete snapshots first.'
    )


class JournalCorrupt(Refused):
    template = (
        'The journal {path} cannot be trusted: {reason}. An operation on '
        'the volume was cut off and cannot be finished without it; nothing '
        'was changed. Compare the chain with .info before removing it.'
    )


# -- what may not be done now ------------------------------------------------


class VolumeHasSnapshots(Refused):
    template = (
        '{volume} still has the snapshots {snapshots}. Delete them first.'
    )


class VolumeInUse(Refused):
    template = (
        '{volume} is in use by {holder}; {operation} needs it detached. '
        'Nothing was changed.'
    )


class ImageOpenElsewhere(Refused):
    template = (
        'The image {path} is open for writing in another process, but no '
        'guest that uses it was found (looked at: {looked_at}). Nothing was '
        'changed; find the process that holds it, or correct option '
        'libvirt_uri.'
    )


class NotNewestSnapshot(Refused):
    template = (
        'Snapshot {snapshot} of {volume} is not the newest one ({newest} '
        'is); only the newest can be reverted to. Delete the newer ones '
        'first.'
    )


class DirectionImpossible(Refused):
    template = (
        'Option merge_direction asks for {direction}, which is impossible '
        'for this snapshot of {volume}: {reason}. Set it to auto.'
    )


class NoSpace(VolumeDriverError):
    template = (
        'No space for {path}: {needed} needed, {available} bytes '
        'available in {directory}. Free space and try again.'
    )


class MergeNeedsSpace(Refused):
    template = (
        'No room for "{operation}" of {volume}: it needs {needed} bytes, and '
        '{available} bytes of {directory} are not taken or promised to other '
        'merges. Nothing was changed; free space and try again.'
    )


class RepairUnproved(Refused):
    template = (
        'The image {path} was not mended: {reason}. It was left as it is; '
        'restore it from a backup.'
    )


class AccessDenied(VolumeDriverError):
    template = (
        'The image {path} belongs to {owner} with mode {mode}, and this '
        'service, user {user}, can do nothing about it: {reason}. It has to '
        'be in group {group}, that of the directory, and to be allowed to '
        'start privsep-helper for volume_driver.privileged.context; then '
        'call again, and what was begun is finished.'
    )


class FileOperationFailed(VolumeDriverError):
    template = (
        'The file {path} could not be handled: {reason}. Mend what it says '
        'and call again; what was begun is finished then.'
    )


# -- guests and hypervisors --------------------------------------------------


class HypervisorUnreachable(Refused):
    template = (
        'The hypervisor at {uri} cannot be asked whether a guest uses '
        '{volume}: {reason}. Nothing was changed; bring it back or detach '
        'the volume, then try again.'
    )


class GuestNotFound(Refused):
    template = (
        '{volume} is attached on {hosts}, but no guest with it was found at '
        '{looked_at}, which is another host. Nothing was changed; let option '
        'libvirt_uri name the host with %(host)s, or detach the volume.'
    )


class AmbiguousGuest(Refused):
    template = (
        '{volume} is used by more than one guest disk, running or defined: '
        '{guests}. Nothing was changed; only one guest may use a volume that '
        'has, or gets, snapshots.'
    )


class GuestMismatch(Refused):
    template = (
        '{guest} does not run on the chain that .info describes: found '
        '{found}, expected {expected}. Nothing was changed; find out what '
        'switched or started the guest before trying again ("volume-driver '
        'check" tells whether it writes to a frozen image).'
    )


class GuestFormatWrong(Refused):
    template = (
        '{guest} reads the active image of {volume} as {found}, but it is '
        '{expected}: the guest sees the bytes of the file, and what it writes '
        'may damage the image. Nothing was changed; shut the guest down, set '
        "<driver type='{expected}'/> in its definition, and check the volume."
    )


class ImagesDiverged(Refused):
    template = (
        '{top} was written to after it had been merged into {base}, which was '
        'written to as well, or is in use: a guest was started from each. '
        'Nothing was removed; find out which of them is the right one before '
        'anything else touches the volume.'
    )


class GuestStartedTooEarly(Refused):
    template = (
        '{guest} was started after its QEMU died in the middle of "{step}", '
        'and may not see all its data, which is still in {merged}. Nothing '
        'was changed; shut the guest down, and the next call on the volume '
        'puts it right before the guest is started again.'
    )


class Unfinished(Refused):
    template = (
        '{volume} cannot be described: {operation} is under way, or was cut '
        'off. Wait for it, or let "volume-driver recover" finish it.'
    )


class RecoveryFailed(Refused):
    template = (
        '{operation} of {volume}, begun by {by} at {at}, was cut off and '
        'cannot be finished now: {reason} Nothing else was done on the '
        'volume; the next call on it tries again.'
    )


class QuiesceFailed(Refused):
    template = (
        '{guest} could not be quiesced: {reason}. Option quiesce is '
        '"require"; start the guest agent in the guest or set it to auto.'
    )


class JobConflict(Refused):
    template = (
        '{guest} already has a block job ({job}) on this disk that is not '
        'ours. Nothing was changed; wait for it or cancel it.'
    )


class MergeNotRunning(Refused):
    template = (
        'There is no merge of {volume} that can be changed: {reason}. '
        'Nothing was changed; see "volume-driver job list" for what runs, and '
        'set option merge_bandwidth to limit merges from their beginning.'
    )


class LiveOperationFailed(VolumeDriverError):
    template = (
        '{operation} on {guest} failed: {reason}. Nothing is lost; mend what '
        'it says and call again.'
    )


class GuestUnknown(LiveOperationFailed):
    template = (
        '{guest} did not answer ({operation}): {reason}. What it runs on is '
        'not known; call again once it can be asked.'
    )


class DomainXmlInvalid(LiveOperationFailed):
    template = (
        'What libvirt says of a guest cannot be read: {reason}. What the '
        'guest runs on is not known; mend its definition and call again.'
    )


class GuestGone(LiveOperationFailed):
    template = (
        '{guest} cannot be asked any more ({reason}). What it had flushed is '
        'safe; call again, and the operation goes on without it.'
    )


class JobNotStarted(Refused):
    template = (
        'The block job for {operation} on {guest} was not started: {reason}. '
        'Nothing was changed; mend what it says and try again.'
    )


class JobFailed(LiveOperationFailed):
    template = (
        'The block job for {operation} on {guest} ended without its result '
        '({reason}). The guest still runs on the chain it had before and '
        'nothing was removed; try again.'
    )


class UnexpectedChain(VolumeDriverError):
    template = (
        'After {operation}, {guest} runs on {found}, expected {expected}. '
        'No file was removed and .info was not changed; compare them before '
        'anything else touches the volume.'
    )


class BarrierFailed(VolumeDriverError):
    template = (
        'The data merged under {guest} could not be proven to be on disk: '
        '{reason}. No file was removed; call again once the guest can be '
        'reached.'
    )


# -- child processes ---------------------------------------------------------


class CommandFailed(VolumeDriverError):
    template = (
        'The command "{command}" failed with exit code {exit_code}: '
        '{stderr}. Mend what it says and call again.'
    )


class LimitReached(CommandFailed):
    template = (
        'The command "{command}" was ended: it took more than {limit}, which '
        'is enough for any sound image of its size. The image is damaged, or '
        'was made to be hard to read; look at where it comes from.'
    )
