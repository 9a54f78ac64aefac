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

"""Tells one run of a guest from any other.

libvirt's own ids begin anew with libvirtd, so two runs can have the same. A
mark in the metadata of the running domain alone stays as long as its QEMU
does, over a restart of libvirtd, and goes with it.
"""

from __future__ import annotations

import typing
import uuid

from lxml import etree

from volume_driver import native
from volume_driver.hypervisors.libvirt import connection
from volume_driver.hypervisors.libvirt import domain_xml

_KEY = 'volume-driver'
# Nova puts its own element into each domain that it makes.
_NOVA = 'http://openstack.org/xmlns/libvirt/nova/1.1'
_URI = 'https://docs.openstack.org/volume-driver/run'


def run_of(domain: typing.Any) -> str:
    """Return what marks this run of a domain; mark it if nobody did yet.

    :raises libvirtError: when libvirt cannot be asked
    """
    libvirt = connection.module()
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    try:
        found = native.call(domain.metadata, kind, _URI, live)
        return str(domain_xml.parse(found).get('id'))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            raise
    made = str(uuid.uuid4())
    mark = etree.tostring(etree.Element('run', id=made), encoding='unicode')
    native.call(domain.setMetadata, kind, mark, _KEY, _URI, live)
    return made


def is_of_nova(domain: typing.Any) -> bool:
    """Tell whether Nova made a domain.

    :raises libvirtError: when libvirt cannot be asked
    """
    libvirt = connection.module()
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    try:
        native.call(domain.metadata, kind, _NOVA, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return False
        raise
    return True
